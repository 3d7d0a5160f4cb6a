"""A folder's work is bounded as a whole, and honest folders come nowhere near the bound."""

import io
import pickle
import zipfile

import pytest
import torch

from scanner.intake.pickled.archives import judge_zip
from scanner.intake.pickled.budget import Budget, OverBudget
from scanner.intake.pickled.pickles import judge_pickles, looks_like_pickle
from tests.hostile.cases.pickles import zipped


def test_every_way_of_judging_pays() -> None:
    row = pickle.dumps([None] * 100, 2)
    with pytest.raises(OverBudget):
        judge_pickles(row, Budget(operations=50))
    with pytest.raises(OverBudget):
        looks_like_pickle(b"N0" * 100, Budget(operations=50))
    with pytest.raises(OverBudget):
        judge_zip(io.BytesIO(zipped({str(n): b"" for n in range(9)})), Budget(operations=50))
    with pytest.raises(OverBudget):
        judge_zip(io.BytesIO(zipped({"a": bytes(9_000)}, zipfile.ZIP_DEFLATED)), Budget(n_bytes=8_000))


def test_stored_bytes_cost_a_sixteenth() -> None:
    budget = Budget()
    judge_zip(io.BytesIO(zipped({"a": bytes(16_000)})), budget)
    assert Budget().n_bytes - budget.n_bytes == 1_000


def test_twenty_two_checkpoints_of_a_large_adapter_are_within_it() -> None:
    """AdamW over a LoRA of seven projections in 32 layers, two matrices each."""
    matrices = [torch.nn.Parameter(torch.zeros(1, 1)) for _ in range(32 * 7 * 2)]
    optimiser = torch.optim.AdamW(matrices)
    torch.stack(matrices).sum().backward()
    optimiser.step()
    stream = io.BytesIO()
    torch.save(optimiser.state_dict(), stream)
    budget = Budget()
    found = judge_zip(stream, budget)
    assert found.pickles is not None and found.pickles.refused == found.pickles.strange == () and not found.remarks
    assert 22 * (Budget().operations - budget.operations) < Budget().operations
