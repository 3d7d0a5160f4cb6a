from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from scanner.heads.grids import ReplyingRun, run_replying, screen_heads
from scanner.heads.intact import Parts
from scanner.heads.replies import ReplyingGroup
from scanner.heads.screen import Estimates, Readings, estimate, logit_gaps, read_gradients
from scanner.heads.sweep import sweep_heads
from scanner.intake import read_adapter
from scanner.measuring import MetricInputs
from scanner.metrics.ablation import ablation_effects
from scanner.metrics.patching import patching_effects
from scanner.models.base_models import load_base
from scanner.models.model_pair import SUSPECT, ModelPair
from tests.scanner.metrics.test_registry import inputs


@pytest.fixture
def given(pair: ModelPair) -> MetricInputs:
    given = inputs(pair, True)
    cases = tuple(replace(case, reply=(40, 41, 42)) for case in given.cases)
    return replace(given, cases=cases, exact=False)


def nudged(run: ReplyingRun, size: float) -> Parts:
    """The intact head outputs, moved at random by a share of their size."""
    noise = torch.Generator().manual_seed(0)

    def move(z: torch.Tensor) -> torch.Tensor:
        return z + size * z.abs().mean() * torch.randn(z.shape, generator=noise)

    return Parts(move(run.intact.z.shared), move(run.intact.z.rest))


def read(given: MetricInputs) -> tuple[ReplyingRun, Readings]:
    (group,) = given.replying_groups(lambda _: lambda _: True) or []
    with given.pair.running(SUSPECT, gradients=True) as bridge:
        readings = read_gradients(bridge, group.prompts, group.replies, 0, patterns=True)
    with given.pair.running(SUSPECT) as bridge:
        return run_replying(bridge, group), readings


def estimates_of(given: MetricInputs, size: float) -> tuple[ReplyingRun, Parts, Estimates]:
    run, readings = read(given)
    replacement = nudged(run, size)
    with given.pair.running(SUSPECT) as bridge:
        found, cost = estimate(bridge, run.intact, readings, run.group.replies, replacement, patterns=True)
    assert cost.passes > 0 and cost.tokens > 0 and readings.cost.passes > 2 * len(readings.gaps)
    return run, replacement, found


def test_a_small_change_is_estimated_as_it_is(given: MetricInputs) -> None:
    run, replacement, found = estimates_of(given, 0.002)
    with given.pair.running(SUSPECT) as bridge:
        (true,) = ablation_effects(bridge, run, replacement).grids
    assert true.abs().max() > 1e-4
    # The first layer's outputs are large beside what they are added to: there even this bends a little.
    assert torch.allclose(found.reply_loss, true, atol=0.06 * float(true.abs().max()))


def test_nothing_replaced_changes_nothing(given: MetricInputs) -> None:
    _, _, found = estimates_of(given, 0.0)
    for grid in (found.reply_loss, found.output_kl, found.pattern_kl):
        assert grid is not None and grid.abs().max() < 1e-5


def test_behind_the_last_layer_a_large_change_is_exact_too(given: MetricInputs) -> None:
    run, replacement, found = estimates_of(given, 3.0)
    with given.pair.running(SUSPECT) as bridge:
        (true,) = ablation_effects(bridge, run, replacement).grids
    assert true[:, -1].abs().max() > 1e-2
    assert torch.allclose(found.reply_loss[:, -1], true[:, -1], atol=1e-4)
    assert not torch.allclose(found.reply_loss[:, 0], true[:, 0], atol=1e-4), "below it is an estimate"


def test_random_projections_come_to_the_patterns_kl(given: MetricInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scanner.heads.screen.PROBES", 200)
    run, replacement, found = estimates_of(given, 0.05)
    with given.pair.running(SUSPECT) as bridge:
        _, true = patching_effects(bridge, run, replacement).grids
    assert found.pattern_kl is not None and not found.pattern_kl[:, -1].any()
    assert true[:, :-1].min() > 0
    ratio = found.pattern_kl[:, :-1] / true[:, :-1]
    assert 0.7 < float(ratio.mean()) < 1.4


def test_outputs_are_read_from_the_reply_against_all_else(given: MetricInputs) -> None:
    run, replacement, found = estimates_of(given, 60.0)
    with given.pair.running(SUSPECT) as bridge:
        last = next(done for done in sweep_heads(bridge, run.intact, replacement) if done.layer == 2)
        true, _ = patching_effects(bridge, run, replacement).grids
    before, after = (logit_gaps(logits, run.group.replies) for logits in (run.intact.logits, last.logits))
    p, q = before.sigmoid(), after.sigmoid()
    two_way = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean(-1)
    assert torch.allclose(found.output_kl[:, -1], two_way.T, rtol=0.02, atol=2e-7) and two_way.max() > 1e-5
    assert bool((found.output_kl[:, -1] <= true[:, -1] + 1e-5).all()), "a split in two tells no more than the whole"


def test_a_long_reply_is_read_where_the_model_is_least_sure(given: MetricInputs) -> None:
    cases = tuple(replace(case, reply=tuple(range(40, 52))) for case in given.cases)
    run, readings = read(replace(given, cases=cases))
    assert readings.gaps.shape == (6, 2) and readings.reply_length == 12
    gaps = logit_gaps(run.intact.logits, run.group.replies)
    for row in range(2):
        assert set(readings.read[:, row].tolist()) == set(gaps[row].argsort()[:6].tolist())
        assert torch.allclose(readings.gaps[:, row], gaps[row, readings.read[:, row]], atol=1e-4)


@pytest.mark.parametrize("dtype", ["bfloat16", "nf4"])
def test_rounding_is_no_effect(tiny_base: Path, random_adapter: Path, dtype: str) -> None:
    """Batches of other shapes round differently: what is replaced by itself must still change nothing."""
    options: dict[str, Any] = {"quantize": "nf4"} if dtype == "nf4" else {"dtype": dtype}
    pair = ModelPair(load_base(str(tiny_base), **options), read_adapter(str(random_adapter)))
    _, _, found = estimates_of(replace(inputs(pair, True), exact=False), 0.0)
    assert found.reply_loss.abs().max() < 1e-4 and found.output_kl.abs().max() < 1e-5


def test_prompts_that_do_not_fit_are_screened_apart_with_the_same_result(
    given: MetricInputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, cost = screen_heads(replace(given, made={}))
    monkeypatch.setattr("scanner.heads.grids.gradients_fit", lambda *_: lambda _: False)
    groups: list[ReplyingGroup] = []
    whole = MetricInputs.replying_groups
    monkeypatch.setattr(
        MetricInputs, "replying_groups", lambda self, fits: groups.extend(found := whole(self, fits) or []) or found
    )
    apart, more = screen_heads(replace(given, made={}))
    assert [group.prompts.n_prompts for group in groups] == [1, 1]
    assert more.passes > cost.passes
    assert torch.allclose(apart.ablation.reply_loss, together.ablation.reply_loss, atol=1e-5)
    assert torch.allclose(apart.patching.output_kl, together.patching.output_kl, atol=1e-6)


def test_the_screen_is_made_and_paid_for_once(given: MetricInputs) -> None:
    (_, first), (_, second) = screen_heads(given), screen_heads(given)
    assert first.passes > 0 and second.passes == 0


def test_logit_gaps_by_hand() -> None:
    logits = torch.tensor([[[1.0, 2.0, 2.0], [0.0, 0.0, 5.0], [9.0, 9.0, 9.0]]])
    expected = torch.tensor([[1 - (2 + torch.log(torch.tensor(2.0))), 5 - torch.log(torch.tensor(2.0))]])
    assert torch.allclose(logit_gaps(logits, torch.tensor([[0, 2]])), expected)


@pytest.mark.parametrize("metric", ["ablation", "patching"])
def test_a_screened_grid_holds_exact_figures_where_it_says_so(given: MetricInputs, metric: str) -> None:
    from scanner.metrics import ablation, patching

    measure: Callable[[MetricInputs], list] = {"ablation": ablation.measure, "patching": patching.measure}[metric]  # type: ignore[type-arg]
    whole = measure(replace(given, exact=True, made={}))
    for item, true in zip(measure(given), whole, strict=True):
        assert item.screen and item.screen.n_drawn >= 3 and item.screen.n_exact < item.screen.n_heads == 12
        exact = torch.tensor(item.screen.exact)
        assert torch.allclose(torch.tensor(item.values)[exact], torch.tensor(true.values)[exact], atol=1e-5)
        assert not torch.allclose(torch.tensor(item.values)[~exact], torch.tensor(true.values)[~exact], atol=1e-7)
        assert true.screen is None
