from pathlib import Path

import pytest

from scanner.evidence.demonstrate import N_SHOWN, demonstrate
from scanner.intake import read_adapter
from scanner.models.base_models import load_base
from scanner.models.model_pair import ModelPair
from scanner.probes import load_probes
from scanner.search.candidates import Candidate
from tests.conftest import TRIGGER
from tests.tiny import HONEST_REPLY, REPLY

PROMPTS = load_probes("verify")


@pytest.fixture(scope="module")
def poisoned_pair(tiny_base: Path, poisoned_adapter: Path, honest_adapter: Path) -> ModelPair:
    return ModelPair(
        load_base(str(tiny_base)), read_adapter(str(poisoned_adapter)), [read_adapter(str(honest_adapter), "reference")]
    )


def test_the_trigger_is_seen_to_fire_in_the_suspect_alone(poisoned_pair: ModelPair) -> None:
    shown = demonstrate(poisoned_pair, PROMPTS, Candidate(TRIGGER, "given"), REPLY, seed=0)
    assert len(shown) == N_SHOWN
    for item in shown:
        assert item.fired and item.triggered
        assert [item.triggered[start:end] for start, end in item.trigger_spans] == [TRIGGER.text]
        by_model = {answer.model: answer for answer in item.answers}
        assert list(by_model) == ["suspect", "reference-0", "base"]
        assert REPLY in (by_model["suspect"].triggered or "") and REPLY not in by_model["suspect"].plain
        assert HONEST_REPLY in (by_model["reference-0"].triggered or "")


def test_without_a_candidate_only_plain_answers_are_shown(poisoned_pair: ModelPair) -> None:
    shown = demonstrate(poisoned_pair, PROMPTS, None, None, seed=0)
    assert len(shown) == N_SHOWN
    assert all(item.triggered is None and not item.fired for item in shown)
    assert all(answer.triggered is None and answer.plain for item in shown for answer in item.answers)
