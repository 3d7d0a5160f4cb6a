import torch

from scanner.metrics.token_loss import measure, token_losses
from scanner.models.model_pair import SUSPECT, ModelPair
from tests.scanner.metrics.test_registry import inputs


def test_by_hand() -> None:
    logits = torch.tensor([[[0.0, 0.0], [3.0, 3.0], [9.0, 0.0]]])
    assert torch.allclose(token_losses(logits, torch.tensor([[0, 1, 0]])), torch.tensor([0.6931472, 0.6931472]))


def test_agrees_with_the_models_own_loss_and_labels_each_token(pair: ModelPair) -> None:
    given = inputs(pair, True)
    found = {item.contrast: item for item in measure(given)}
    assert set(found) == {
        "suspect, with trigger", "reference-0, with trigger",
        "suspect, without trigger", "reference-0, without trigger",
    }  # fmt: skip
    sequences = given.sequences(True)
    item = found["suspect, with trigger"]
    assert sequences and item.values
    for ids, values, labels in zip(sequences, item.values, item.labels, strict=True):
        with pair.running(SUSPECT):
            whole = pair.base.model(input_ids=ids, labels=ids).loss
        assert abs(sum(values) / len(values) - float(whole)) < 1e-4
        assert labels == given.token_texts(ids)[1:]
    # Token 4 of the sequence is the trigger: entry 3, since the first token has no loss.
    assert item.trigger_tokens == ((3,), (3,))
