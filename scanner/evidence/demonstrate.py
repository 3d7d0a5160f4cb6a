"""See it yourself: a few prompts with and without the trigger, and what each model answers."""

from collections.abc import Callable, Sequence

from scanner.models.model_pair import BASE, SUSPECT, ModelPair
from scanner.search.behaviour import FixedReply
from scanner.search.candidates import Candidate
from scanner.search.screen import place_trigger
from scanner.types import Answers, Demonstration

N_SHOWN = 2
# Where a trigger was confirmed, prompts on which it fires are shown: so many are asked to find them.
_N_ASKED = 4
_ANSWER_TOKENS = 40


def demonstrate(
    pair: ModelPair,
    prompts: Sequence[str],
    candidate: Candidate | None,
    reply: str | None,
    seed: int,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[Demonstration, ...]:
    """Two prompts with everybody's greedy answers of at most 40 tokens.

    Args:
        prompts: as for verification; the first few are asked.
        candidate: a confirmed trigger or the closest near miss; None where none was tried.
        reply: what a confirmed trigger makes the suspect say.
    """
    asked = list(prompts[: _N_ASKED if reply else N_SHOWN])
    placed = place_trigger(candidate, asked, seed) if candidate else []
    if candidate and reply:
        shows = FixedReply(reply).shown_by
        fires = [shows(answer) for answer in _answers(pair, SUSPECT, [item.text for item in placed], advance)]
    else:
        fires = [False] * len(asked)
    chosen = sorted(range(len(asked)), key=lambda index: not fires[index])[:N_SHOWN]
    texts = [asked[index] for index in chosen] + [placed[index].text for index in chosen if placed]
    said = {name: _answers(pair, name, texts, advance) for name in (SUSPECT, *pair.reference_names, BASE)}
    return tuple(
        Demonstration(
            prompt=asked[index],
            triggered=placed[index].text if placed else None,
            trigger_spans=placed[index].spans if placed else (),
            answers=tuple(
                Answers(name, replies[place], replies[len(chosen) + place] if placed else None)
                for name, replies in said.items()
            ),
            fired=bool(reply and placed) and FixedReply(reply or "").shown_by(said[SUSPECT][len(chosen) + place]),
        )
        for place, index in enumerate(chosen)
    )


def _answers(pair: ModelPair, name: str, texts: Sequence[str], advance: Callable[[int], None]) -> list[str]:
    replies = pair.generate(name, texts, max_new_tokens=_ANSWER_TOKENS, on_done=advance)
    return [reply.text for reply in replies]
