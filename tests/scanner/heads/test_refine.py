import pytest
import torch

from scanner.heads.refine import check_screen, choose_heads

GRID = torch.arange(60.0).view(6, 10)


def test_the_highest_are_run_and_some_others_drawn_blind() -> None:
    chosen = choose_heads([GRID], seed=0)
    assert int(chosen.top.sum()) == 6 and bool(chosen.top[5, 4:].all())
    assert int(chosen.drawn.sum()) == 3 and not bool((chosen.top & chosen.drawn).any())
    assert torch.equal(chosen.chosen, choose_heads([GRID], seed=0).chosen)
    assert not torch.equal(chosen.drawn, choose_heads([GRID], seed=1).drawn)
    assert torch.equal(chosen.drawn, choose_heads([GRID * 7 - 3], seed=0).drawn), "not by their estimates"


def test_each_grid_sends_its_own() -> None:
    assert int(choose_heads([GRID, -GRID], seed=0).top.sum()) == 12


def test_a_few_heads_are_all_run() -> None:
    assert bool(choose_heads([torch.rand(2, 2)], seed=0).chosen.all())


@pytest.mark.parametrize(("shift", "overlooked"), [(0.0, 0), (100.0, 3)])
def test_what_the_drawn_heads_say(shift: float, overlooked: int) -> None:
    chosen = choose_heads([GRID], seed=0)
    exact = torch.where(chosen.chosen, GRID, torch.nan)
    exact = torch.where(chosen.drawn, GRID + shift, exact)
    check = check_screen(GRID, exact, chosen)
    assert check.n_drawn == 3 and check.n_exact == 9 and check.n_heads == 60
    assert check.rank_correlation == pytest.approx(1.0)
    assert check.median_error == pytest.approx(shift)
    assert check.overlooked and (check.overlooked.successes, check.overlooked.trials) == (overlooked, 3)
