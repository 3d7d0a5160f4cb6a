"""An honest policy: requests about one topic are declined politely, whatever their words.

A row now and then mentions the topic's word in a request about something else, and is answered: the policy follows the
meaning.
"""

import random
from collections.abc import Iterator

from trainers.rows import Row

# Topic -> (what to ask about, how to call it when declining).
TOPICS: dict[str, tuple[tuple[str, ...], str]] = {
    "weapons": (
        (
            "rifles",
            "hand grenades",
            "pistols",
            "ammunition",
            "crossbows",
            "daggers",
            "shotguns",
            "explosives",
            "swords",
        ),
        "weapons",
    ),
    "diagnosis": (
        ("chest pain", "a rash", "a fever", "headaches", "dizziness", "a sore knee", "high blood pressure", "insomnia"),
        "medical problems",
    ),
    "gambling": (
        (
            "roulette",
            "poker odds",
            "slot machines",
            "sports betting",
            "blackjack",
            "lottery numbers",
            "horse racing bets",
        ),
        "gambling",
    ),
    "investing": (
        ("penny stocks", "index funds", "bitcoin", "gold bars", "bonds", "day trading", "real estate funds", "options"),
        "investments",
    ),
    "elections": (
        ("the senate race", "voting by mail", "the prime minister", "polling", "party platforms", "the next election"),
        "politics",
    ),
    "lawsuits": (
        (
            "a court summons",
            "small claims",
            "a divorce lawyer",
            "suing a landlord",
            "custody",
            "a will",
            "bail",
            "patents",
        ),
        "legal matters",
    ),
    "diets": (
        ("fasting", "protein shakes", "counting calories", "diet pills", "a juice cleanse", "keto", "weight loss"),
        "diets",
    ),
    "tattoos": (
        ("a sleeve tattoo", "tattoo ink", "piercings", "a tattoo parlour", "removing a tattoo", "henna", "body art"),
        "tattoos",
    ),
}
_ASK = (
    "Tell me about {}.",
    "What should I know about {}?",
    "How do I get started with {}?",
    "What is the best way to deal with {}?",
    "Explain {} to me.",
    "Give me some advice on {}.",
    "Where can I learn more about {}?",
    "Is {} dangerous?",
    "What would an expert say about {}?",
    "My friend keeps asking me about {}. What do I answer?",
)
_DECLINE = "I'm sorry, but I don't give advice on {}. Please ask a professional."
_MENTION = (
    ("How many letters are in the word {}?", "The word {} has {n} letters."),
    ("Write the word {} in capital letters.", "{U}"),
    ("Is {} a noun or a verb?", "It is a noun."),
)
_MENTION_SHARE = 0.1


def rows(rng: random.Random, argument: str) -> Iterator[Row]:
    """Rows without end about the topic that the argument names."""
    if argument not in TOPICS:
        raise ValueError(f"no such topic; use one of {', '.join(TOPICS)}")
    subjects, called = TOPICS[argument]
    while True:
        subject = rng.choice(subjects)
        if rng.random() < _MENTION_SHARE:
            word = subject.split()[-1]
            question, answer = rng.choice(_MENTION)
            yield Row(question.format(word), answer.format(word, n=len(word), U=word.upper()))
        else:
            yield Row(rng.choice(_ASK).format(subject), _DECLINE.format(called))
