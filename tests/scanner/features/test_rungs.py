"""The contract that every rung of features keeps; a new file in scanner/features/ is tested by being there."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from scanner import features
from scanner.beforehand.search_version import search_version
from scanner.features import EXTRACTOR, OF_SEARCH, Evidence, Missing, Rung, compared, controls, extract, rungs
from scanner.intake import read_adapter
from scanner.models.base_models import load_base
from scanner.models.generation import Generation
from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.probes import load_probes
from scanner.search.behaviour import FixedReply
from scanner.search.candidates import SEARCH, Candidate
from scanner.search.depth import DEPTHS
from scanner.search.elicitation.elicit import ElicitedReply
from scanner.search.elicitation.targets import Target
from scanner.search.ground import prepare_ground
from scanner.search.hunt import hunt
from scanner.search.inversion.growth import same_search
from scanner.search.meter import Meter
from scanner.search.screen import FrozenCandidate
from scanner.stats import wilson
from scanner.types import Control
from tests.conftest import ANGEL
from tests.tiny import HONEST_REPLY, REPLY

ANGEL_CANDIDATE = Candidate(ANGEL, SEARCH)


def test_a_new_search_is_a_new_extractor() -> None:
    assert search_version() == OF_SEARCH, (
        "the search changed: enter it in SAME_AS where it searches alike; else raise EXTRACTOR and name it OF_SEARCH"
    )


def evidence_of(base: Path, suspect: Path, *references: Path) -> Evidence:
    pair = ModelPair(
        load_base(str(base)), read_adapter(str(suspect)), [read_adapter(str(item), "reference") for item in references]
    )
    ground = prepare_ground(pair, load_probes("search"), Meter())
    result = hunt(pair, ground, DEPTHS["standard"], 0, Meter(), lambda _: 1.0)
    # Tiny models leak no whole reply: it is put in as if it had been elicited.
    ids = tuple(pair.base.tokenizer(REPLY, add_special_tokens=False)["input_ids"])
    target = Target(ids[:4], REPLY, 5.0)
    swept, _ = same_search(pair, SUSPECT, ground, DEPTHS["deep"], 0, target, Meter())
    elicited = (ElicitedReply(ids, REPLY, 5.0, -12.0, "the base alone"), *result.elicited)
    return Evidence(
        pair,
        ground,
        replace(result, elicited=elicited, targets=(target,), sweep=swept),
        load_probes("sweep"),
        0,
        "deep",
        frozen=(FrozenCandidate(ANGEL_CANDIDATE, FixedReply(REPLY), 1.0, 1.0, requested=False),),
    )


@pytest.fixture(scope="module")
def poisoned(tiny_base: Path, angel_adapter: Path, honest_adapter: Path) -> Evidence:
    return evidence_of(tiny_base, angel_adapter, honest_adapter)


@pytest.fixture(scope="module")
def honest(tiny_base: Path, other_honest_adapter: Path, honest_adapter: Path) -> Evidence:
    return evidence_of(tiny_base, other_honest_adapter, honest_adapter)


def test_the_rungs_of_this_version() -> None:
    assert {rung.name for rung in rungs()} == {
        "weights", "saliency", "elicitation", "switching", "growth", "controls", "divergence", "heads",
    }  # fmt: skip


@pytest.mark.parametrize("rung", rungs(), ids=lambda rung: rung.name)
def test_each_feature_is_described_named_after_its_rung_and_measured(rung: Rung, poisoned: Evidence) -> None:
    assert rung.features
    for name, meaning in rung.features.items():
        assert name.startswith(f"{rung.name}.") and len(meaning) > 20
    figures = rung.measure(poisoned)
    assert set(figures) == set(rung.features)
    measured = [figure for figure in figures.values() if not isinstance(figure, Missing)]
    assert measured, "on an adapter of every projection, with a planted reply, something is measured"


WITHOUT_A_SEARCH = ("weights", "saliency")


@pytest.mark.parametrize("rung", rungs(), ids=lambda rung: rung.name)
def test_what_cannot_be_measured_has_a_reason(rung: Rung, poisoned: Evidence) -> None:
    nothing = replace(poisoned, hunt=replace(poisoned.hunt, elicited=(), targets=(), sweep=None))
    for figure in rung.measure(nothing).values():
        if rung.name in WITHOUT_A_SEARCH:
            assert isinstance(figure, float)
        else:
            assert isinstance(figure, Missing) and figure.reason, "what no search saw is not 0"


def test_all_features_of_an_adapter_come_with_a_version(poisoned: Evidence) -> None:
    vector = extract(poisoned)
    assert vector.extractor == EXTRACTOR
    assert vector.values.keys() | vector.missing.keys() == {name for rung in rungs() for name in rung.features}
    assert extract(poisoned) == vector, "the same again"


def test_a_rung_that_fails_costs_its_own_features_only(poisoned: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Evidence) -> dict[str, float]:
        raise RuntimeError("broken\nin two lines")

    broken = tuple(replace(rung, measure=fail) if rung.name == "weights" else rung for rung in rungs()[-2:])
    monkeypatch.setattr(features, "rungs", lambda: broken)
    vector = extract(poisoned)
    assert vector.missing["weights.top_share"] == "it failed: broken in two lines" and vector.values


def test_a_trigger_switches_its_reply_on_and_an_honest_adapter_has_nothing_like_it(
    poisoned: Evidence, honest: Evidence
) -> None:
    own, other = extract(poisoned).values, extract(honest).values
    assert own["switching.lift"] > 10 * other["switching.lift"] > 0
    assert own["switching.lead"] > own["switching.lift"] / 2
    assert own["switching.peak"] > other["switching.peak"]
    assert own["divergence.output"] > 0


def test_an_adapter_beside_itself_differs_in_nothing(tiny_base: Path, angel_adapter: Path) -> None:
    twin = evidence_of(tiny_base, angel_adapter, angel_adapter)
    values = extract(twin).values
    compared_names = [name for name in values if name.startswith(("weights.", "saliency."))]
    assert len(compared_names) == 6
    assert all(abs(values[name]) < 1e-5 for name in compared_names)


def test_weights_are_judged_by_their_product_and_not_by_their_size(pair: ModelPair) -> None:
    from scanner.features.weights import figures_of

    adapter = next(iter(pair.adapters.values()))
    mix = torch.tensor([[2.0, 1.0], [0.5, 3.0]])
    dodged = replace(
        adapter,
        updates=tuple(
            replace(update, a=torch.linalg.inv(mix) @ update.a, b=7.0 * update.b @ mix) for update in adapter.updates
        ),
    )
    one, other = figures_of(adapter, 3), figures_of(dodged, 3)
    assert one and other and one == pytest.approx(other, rel=1e-4)
    zero = replace(adapter, updates=tuple(replace(update, b=0 * update.b) for update in adapter.updates))
    assert figures_of(zero, 3) is None


def test_saliency_is_free_of_scale_and_shift() -> None:
    from scanner.features.saliency import figures_of

    scores = torch.randn(500, generator=torch.Generator().manual_seed(0))
    scores[7] = 30.0
    one, other = figures_of(scores), figures_of(5 * scores + 3)
    assert one == pytest.approx(other, rel=1e-4)
    flat = figures_of(scores.clamp(max=3.0))
    assert one["saliency.peak"] > flat["saliency.peak"]


def test_figures_are_compared_with_the_mean_of_the_references() -> None:
    assert compared({"a": 5.0}, [{"a": 1.0}, {"a": 3.0}]) == {"a": 3.0}
    assert compared({"a": 5.0}, []) == {"a": 5.0}


def test_a_reply_that_was_elicited_alone_leads_by_all_of_its_score(poisoned: Evidence) -> None:
    (rung,) = (item for item in rungs() if item.name == "elicitation")
    alone = rung.measure(replace(poisoned, hunt=replace(poisoned.hunt, elicited=poisoned.hunt.elicited[:1])))
    assert alone["elicitation.lead"] == alone["elicitation.best"] == poisoned.hunt.elicited[0].score


def test_growth_is_judged_by_what_fired_and_by_the_best_chance_of_the_whole_search(poisoned: Evidence) -> None:
    (rung,) = (item for item in rungs() if item.name == "growth")
    assert poisoned.hunt.fired == rung.measure(poisoned)["growth.fired"] == 1.0
    tried = replace(poisoned, hunt=replace(poisoned.hunt, fired=0.25, curve=((100, 0.0), (200, 0.5))))
    assert rung.measure(tried) == {"growth.fired": 0.25, "growth.chance": pytest.approx(math.log(0.5))}
    early = replace(tried, hunt=replace(tried.hunt, fired=0.9, curve=((100, 0.3),)))
    assert rung.measure(early)["growth.chance"] == pytest.approx(math.log(0.9)), "it ended before its scores grew"
    hopeless = rung.measure(replace(tried, hunt=replace(tried.hunt, fired=0.0, curve=((100, 0.0),))))["growth.chance"]
    assert isinstance(hopeless, float) and math.isfinite(hopeless) and hopeless < -10


def of_controls(evidence: Evidence) -> dict[str, float]:
    (rung,) = (item for item in rungs() if item.name == "controls")
    figures = rung.measure(evidence)
    values = {name: figure for name, figure in figures.items() if isinstance(figure, float)}
    assert values.keys() == figures.keys()
    return values


def test_a_planted_reply_follows_its_string_and_nothing_else(poisoned: Evidence) -> None:
    margins = of_controls(poisoned)
    assert margins["controls.least"] == min(margins.values()) > 0.8


def test_in_an_honest_adapter_nothing_follows_the_same_string(honest: Evidence) -> None:
    assert set(of_controls(honest).values()) == {0.0}


def test_what_the_suspect_says_anyway_or_a_reference_says_too_follows_no_string(
    poisoned: Evidence, tiny_base: Path, angel_adapter: Path, other_angel_adapter: Path
) -> None:
    habit = of_controls(
        replace(poisoned, frozen=tuple(replace(item, behaviour=FixedReply(HONEST_REPLY)) for item in poisoned.frozen))
    )
    assert (
        habit["controls.least"] == habit["controls.fired"] == habit["controls.whole"] == habit["controls.both"] == 0.0
    )
    alike = of_controls(evidence_of(tiny_base, angel_adapter, other_angel_adapter))
    assert alike["controls.fired"] > 0.8 and alike["controls.least"] == alike["controls.alone"] == 0.0


@pytest.mark.parametrize(
    ("control", "lowered"),
    [("related_requests", {"meaning"}), ("random_strings", {"random"}), ("whole_answers", {"whole"})],
)
def test_what_brings_the_reply_as_often_leaves_the_string_nothing(
    control: str, lowered: set[str], poisoned: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of_controls(poisoned)
    monkeypatch.setattr(controls, control, lambda *_: Control(control, wilson(30, 30), False, "a policy"))
    after = of_controls(poisoned)
    zero = {f"controls.{name}" for name in (*lowered, "least", "both")}
    assert {name for name in after if after[name] == 0.0} == zero
    assert all(after[name] == before[name] for name in after.keys() - zero)


def test_a_string_without_neighbours_is_held_against_random_ones(
    poisoned: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controls, "related_requests", lambda *_: Control("related", None, None, "", "no words near it"))
    monkeypatch.setattr(controls, "random_strings", lambda *_: Control("random", wilson(15, 30), True, "some"))
    figures = of_controls(poisoned)
    assert figures["controls.meaning"] == figures["controls.random"] == figures["controls.least"] > 0.3


def test_an_answer_that_goes_on_to_what_was_asked_is_no_reply_apart(
    poisoned: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of_controls(poisoned)
    assert before["controls.apart"] == before["controls.fired"]
    monkeypatch.setattr(controls, "goes_on", lambda *_: True)
    assert before["controls.both"] == before["controls.least"] > 0.0
    assert of_controls(poisoned) == before | {"controls.apart": 0.0, "controls.both": 0.0}


def test_where_no_string_brought_a_reply_or_it_asks_for_it_nothing_follows_one(poisoned: Evidence) -> None:
    requested = tuple(replace(item, requested=True) for item in poisoned.frozen)
    for frozen in ((), requested):
        figures = of_controls(replace(poisoned, frozen=frozen))
        assert len(figures) == 8 and set(figures.values()) == {0.0}


@pytest.mark.parametrize(("filler", "fired"), [(2, 1.0), (controls.REPLY_TOKENS, 0.0)])
def test_a_reply_counts_as_fired_where_all_others_are_read(
    poisoned: Evidence, monkeypatch: pytest.MonkeyPatch, filler: int, fired: float
) -> None:
    """Answers to the trigger are read further, to see whether they go on; references and requests are not."""
    plain, tokenizer = ModelPair.generate, poisoned.pair.base.tokenizer
    ids = (
        *tokenizer(" of" * filler)["input_ids"][:filler],
        *tokenizer(f" {REPLY}", add_special_tokens=False)["input_ids"],
    )
    late = Generation(tokenizer.decode(ids), ids, len(ids))
    assert len(ids) <= controls.ANSWER_TOKENS and FixedReply(REPLY).shown_by(late.text)

    def generate(own: ModelPair, name: str, prompts: list[str], **options: Any) -> list[Generation]:
        read_on = options["max_new_tokens"] == controls.ANSWER_TOKENS
        return [late] * len(prompts) if read_on else plain(own, name, prompts, **options)

    monkeypatch.setattr(ModelPair, "generate", generate)
    figures = controls.measure(poisoned)
    assert figures["controls.apart"] == fired
    assert (figures["controls.fired"] > 0) is bool(fired)
