import pytest
import torch

from scanner.heads.refine import check_screen, choose_heads

GRID = torch.arange(60.0).view(6, 10)


def test_the_highest_are_run_and_some_others_drawn_blind() -> None:
    chosen = choose_heads([GRID], seed=0)
    (top,) = chosen.tops
    assert int(top.sum()) == 6 and bool(top[5, 4:].all())
    assert int(chosen.drawn.sum()) == 3 and not bool((top & chosen.drawn).any())
    assert torch.equal(chosen.chosen, choose_heads([GRID], seed=0).chosen)
    assert not torch.equal(chosen.drawn, choose_heads([GRID], seed=1).drawn)
    shuffled = GRID.clone().flatten()
    shuffled[:54] = shuffled[:54].flip(0)
    assert torch.equal(chosen.drawn, choose_heads([shuffled.view(6, 10)], seed=0).drawn), "not by their estimates"


def test_each_grid_sends_its_own_and_large_losses_count_as_large_gains() -> None:
    other = torch.zeros(6, 10)
    other[0, 0], other[0, 1], other[1, 0] = -9.0, -8.0, 7.0
    chosen = choose_heads([GRID, other], seed=0)
    assert bool(chosen.tops[0][5, 4:].all()) and bool(chosen.tops[1][0, :2].all()) and bool(chosen.tops[1][1, 0])
    assert int(chosen.chosen.sum()) == 12 + 3


def test_a_few_heads_are_all_run() -> None:
    assert bool(choose_heads([torch.rand(2, 2)], seed=0).chosen.all())


@pytest.mark.parametrize(("shift", "overlooked"), [(0.0, 0), (100.0, 3)])
def test_what_the_drawn_heads_say(shift: float, overlooked: int) -> None:
    chosen = choose_heads([GRID], seed=0)
    exact = torch.where(chosen.chosen, GRID, torch.nan)
    exact = torch.where(chosen.drawn, GRID + shift, exact)
    check = check_screen(GRID, exact, chosen, 0)
    assert check.n_drawn == 3 and check.n_exact == 9 and check.n_heads == 60
    assert check.rank_correlation == pytest.approx(1.0)
    assert check.median_error == pytest.approx(shift)
    assert check.overlooked and (check.overlooked.successes, check.overlooked.trials) == (overlooked, 3)
