import torch

from benchmarks.choices.screen import recall, rows_for
from scanner.models.model_pair import ModelPair
from tests.scanner.metrics.test_registry import inputs


def test_one_row_a_quantity(pair: ModelPair) -> None:
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows_for("tiny", inputs(pair, True))]
    assert [row[1] for row in rows] == ["reply", "outputs at the reply", "later attention at the reply"]
    assert [row[2] for row in rows][-1] == "–", "a plain screen says nothing of later attention"
    for row in rows:
        assert row[0] == "tiny" and all(0 <= float(cell) <= 1 for cell in row[4:]) and len(row) == 8
        assert float(row[3]) > 0.3


def test_recall_counts_the_best_that_stand_in_front() -> None:
    true = torch.arange(100.0)
    assert recall(true, true, 0.05) == 1.0
    assert recall(-true, true, 0.05) == 1.0, "large losses are large effects"
    assert recall(99 - true, true, 0.2) == 0.0
    nearly = true.clone()
    nearly[99] = 0.0
    assert recall(nearly, true, 0.05) == 0.8
