from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from scanner.heads.intact import Parts
from scanner.heads.replying import ReplyingRun, replying_runs
from scanner.heads.screen import Estimates, estimate, logit_gaps
from scanner.measuring import MetricInputs
from scanner.metrics.ablation import ablation_effects
from scanner.metrics.patching import patching_effects
from scanner.model_pair import SUSPECT, ModelPair
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


def estimates_of(given: MetricInputs, size: float) -> tuple[ReplyingRun, Parts, Estimates]:
    runs = replying_runs(given)
    assert runs and len(runs) == 1 and runs[0].readings
    (run,) = runs
    replacement = nudged(run, size)
    with given.pair.running(SUSPECT) as bridge:
        found = estimate(bridge, run.intact, run.readings, run.group.replies, replacement, patterns=True)
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
    monkeypatch.setattr("scanner.heads.replying.PROBES", 200)
    run, replacement, found = estimates_of(given, 0.05)
    with given.pair.running(SUSPECT) as bridge:
        _, true = patching_effects(bridge, run, replacement).grids
    assert found.pattern_kl is not None and not found.pattern_kl[:, -1].any()
    assert true[:, :-1].min() > 0
    ratio = found.pattern_kl[:, :-1] / true[:, :-1]
    assert 0.7 < float(ratio.mean()) < 1.4


def test_outputs_are_read_from_the_reply_against_all_else(given: MetricInputs) -> None:
    run, replacement, found = estimates_of(given, 0.05)
    with given.pair.running(SUSPECT) as bridge:
        true, _ = patching_effects(bridge, run, replacement).grids
    assert bool((found.output_kl >= -1e-7).all())
    assert bool((found.output_kl <= true + 1e-5).all()), "a split in two cannot tell more than the whole"


def test_a_long_reply_is_read_where_the_model_is_least_sure(given: MetricInputs) -> None:
    cases = tuple(replace(case, reply=tuple(range(40, 52))) for case in given.cases)
    runs = replying_runs(replace(given, cases=cases))
    assert runs
    run = runs[0]
    assert run.readings and run.readings.gaps.shape == (6, 2) and run.readings.reply_length == 12
    gaps = logit_gaps(run.intact.logits, run.group.replies)
    for row in range(2):
        assert set(run.readings.read[:, row].tolist()) == set(gaps[row].argsort()[:6].tolist())
        assert torch.allclose(run.readings.gaps[:, row], gaps[row, run.readings.read[:, row]], atol=1e-4)


def test_more_prompts_make_more_groups_not_more_memory(given: MetricInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = replying_runs(given) or []
    one = max(len(case.triggered or ()) + len(case.reply) for case in given.cases)
    monkeypatch.setattr("scanner.heads.replying.tokens_with_gradients", lambda _: one)
    apart = replying_runs(replace(given, made={})) or []
    assert [run.group.prompts.n_prompts for run in apart] == [1, 1]
    assert sorted(member for run in apart for member in run.group.prompts.members) == [0, 1]
    assert whole.readings and all(run.readings for run in apart)
    monkeypatch.setattr("scanner.heads.replying.tokens_with_gradients", lambda _: 10**6)
    assert len(replying_runs(replace(given, made={})) or []) == 1


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
