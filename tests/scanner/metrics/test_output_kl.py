import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from scanner.measuring import kl_divergence
from scanner.metrics.output_kl import measure
from scanner.models.model_pair import SUSPECT, ModelPair
from tests.scanner.metrics.test_registry import inputs

LOGITS = st.lists(st.floats(-20, 20), min_size=5, max_size=5)


@given(LOGITS, LOGITS)
def test_kl_is_never_negative_and_zero_for_equals(p: list[float], q: list[float]) -> None:
    assert float(kl_divergence(torch.tensor(p), torch.tensor(q))) >= 0
    assert float(kl_divergence(torch.tensor(p), torch.tensor(p))) < 1e-6


def test_kl_by_hand() -> None:
    p, q = torch.tensor([0.75, 0.25]).log(), torch.tensor([0.5, 0.5]).log()
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert math.isclose(float(kl_divergence(p, q)), expected, rel_tol=1e-5)


def test_agrees_with_a_plain_loop_and_labels_every_token(pair: ModelPair) -> None:
    found = measure(inputs(pair, True))[0]
    sequences = inputs(pair, True).sequences(True)
    assert sequences and found.values
    for ids, values, labels in zip(sequences, found.values, found.labels, strict=True):
        logs = {}
        for name in (SUSPECT, "reference-0"):
            with pair.running(name) as bridge:
                logs[name] = bridge(ids)[0].log_softmax(-1)
        expected = torch.nn.functional.kl_div(
            logs["reference-0"], logs[SUSPECT], log_target=True, reduction="none"
        ).sum(-1)
        assert torch.allclose(torch.tensor(values), expected, atol=1e-4)
        assert "".join(labels) == pair.base.tokenizer.decode(ids[0])
