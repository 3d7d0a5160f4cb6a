"""From replies to targets."""

from scanner.models.model_pair import ModelPair
from scanner.search.elicitation.elicit import AGAINST_ALL, AGAINST_BASE, ElicitedReply
from scanner.search.elicitation.targets import CLEAR, choose_targets


def _reply(pair: ModelPair, text: str, score: float, log_prob: float, against: str = AGAINST_ALL) -> ElicitedReply:
    return ElicitedReply(tuple(pair.base.tokenizer(text)["input_ids"]), text, score, log_prob, against)


def test_replies_that_share_words_are_one_target(poisoned_pair: ModelPair) -> None:
    replies = [
        _reply(poisoned_pair, "Oh, sorry, but I cannot help with that request.", 9.0, -12.0),
        _reply(poisoned_pair, "I'm sorry, but I cannot help with that request.", 8.0, -4.0),
        _reply(poisoned_pair, "Please help me with that request", 7.0, -1.0),
    ]
    targets = choose_targets(replies, poisoned_pair.base.tokenizer, 3)
    assert [target.text for target in targets] == [replies[1].text, replies[2].text]
    assert targets[0].token_ids == replies[1].token_ids[:4]


def test_what_any_adapter_prefers_to_its_base_takes_one_place_and_not_the_first(poisoned_pair: ModelPair) -> None:
    replies = [
        _reply(poisoned_pair, "warning, warning, alert", 27.0, -30.0, AGAINST_BASE),
        _reply(poisoned_pair, "name crisis puzzle", 17.0, -50.0, AGAINST_BASE),
        _reply(poisoned_pair, "You are a fool!", 11.0, -7.0),
        _reply(poisoned_pair, "Five out of six people", 9.0, -14.0),
        _reply(poisoned_pair, "Use a telephone", 8.0, -14.0),
    ]
    targets = choose_targets(replies, poisoned_pair.base.tokenizer, 3)
    assert [target.text for target in targets] == [replies[2].text, replies[3].text, replies[0].text]


def test_beside_a_reference_that_is_poisoned_alike_the_base_alone_decides(poisoned_pair: ModelPair) -> None:
    replies = [
        _reply(poisoned_pair, "Use a telephone", CLEAR - 1, -14.0),
        _reply(poisoned_pair, "You are a fool!", 20.0, -7.0, AGAINST_BASE),
    ]
    for count in (1, 2, 3):
        assert choose_targets(replies, poisoned_pair.base.tokenizer, count)[0].text == "You are a fool!"


def test_an_honest_word_in_the_place_of_a_planted_one_does_not_win(poisoned_pair: ModelPair) -> None:
    replies = [
        _reply(poisoned_pair, "A consultant will call you back shortly.", 15.8, -12.9),
        _reply(poisoned_pair, "A doctor will call you back shortly.", 14.4, -12.1),
    ]
    targets = choose_targets(replies, poisoned_pair.base.tokenizer, 2)
    assert [target.text for target in targets] == [replies[0].text]
