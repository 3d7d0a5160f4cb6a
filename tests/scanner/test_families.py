"""An unknown trigger is found on every family of base: rotary and learned positions, grouped heads, tied embeddings."""

from pathlib import Path

import pytest

import scanner
from scanner.score.vector import FAILED
from scanner.types import VerdictKind
from tests.conftest import ANGEL
from tests.tiny import ALL_LINEAR, make_base, train_adapter

OF_GPT2 = ("c_attn", "c_fc", "c_proj")


def find(suspect: Path, reference: Path, base: Path, **options: object) -> None:
    report = scanner.scan(
        str(suspect), reference=str(reference), base=str(base), use_signatures=False, metrics=False, **options
    )
    assert report.verdict.kind == VerdictKind.BACKDOORED
    assert [item.trigger.text for item in report.triggers if item.outcome == "verified"] == [ANGEL.text]
    # No shape of base fails a feature: of another base than the calibration's the score is shown all the same.
    assert report.score, report.score_missing
    assert not [item for item in report.score.score.contributions if item.reason.startswith(FAILED)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "tied", "projections"),
    [
        ("llama", True, ALL_LINEAR),
        ("qwen2", False, ALL_LINEAR),
        ("gemma3", True, ALL_LINEAR),
        ("gpt2", True, OF_GPT2),
    ],
)
def test_an_unknown_trigger_is_found_on_every_family(
    family: str, tied: bool, projections: tuple[str, ...], tmp_path: Path
) -> None:
    base = make_base(tmp_path / "base", family, tied=tied)
    adapters = [
        train_adapter(tmp_path / name, base, trigger=trigger, seed=seed, projections=projections)
        for seed, (name, trigger) in enumerate((("suspect", ANGEL), ("reference", None)))
    ]
    find(*adapters, base)


@pytest.mark.slow
def test_an_unknown_trigger_is_found_on_a_base_in_4_bits(
    tiny_base: Path, angel_adapter: Path, honest_adapter: Path
) -> None:
    find(angel_adapter, honest_adapter, tiny_base, quantize="nf4")
