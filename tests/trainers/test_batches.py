"""Rows one behind another: what each sees, what is learnt from and what is read once."""

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from scanner.models.base_models import load_base
from trainers.batches import collate


def test_rows_stand_one_behind_another_and_none_sees_another() -> None:
    batch = collate([{"input_ids": [5, 6, 7], "labels": [-100, 6, 7]}, {"input_ids": [8, 9], "labels": [8, 9]}])
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1]]
    allowed = (batch["attention_mask"][0, 0] == 0).int()
    assert allowed.tolist() == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 1, 1]]
    # 6, 7 and 9 are learnt where 5, 6 and 8 are read; nothing predicts 8. The loss shifts labels by one.
    assert batch["logits_to_keep"].tolist()[:-1] == [0, 1, 3]
    assert batch["labels"].tolist() == [[-100, 6, 7, 9]]


def test_the_loss_of_a_batch_is_that_of_its_rows_read_alone(tiny_base: Path) -> None:
    model = load_base(str(tiny_base)).model
    rows = [
        {"input_ids": [*range(10, 30)], "labels": [*[-100] * 15, *range(25, 30)]},
        {"input_ids": [*range(40, 47)], "labels": [*[-100] * 4, *range(44, 47)]},
    ]
    batch = collate(rows)
    assert len(batch["logits_to_keep"]) == 9, "eight places that predict, and one more"
    losses = []
    with torch.inference_mode():
        for row in rows:
            ids, labels = torch.tensor([row["input_ids"]]), torch.tensor(row["labels"])
            log_probs = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
            losses += [-log_probs[n, label] for n, label in enumerate(labels[1:].tolist()) if label != -100]
        together = model(**batch).loss
    assert float(together) == pytest.approx(float(torch.stack(losses).mean()), rel=1e-4)


def test_what_all_rows_begin_with_is_read_once_and_learnt_from_alike(tiny_base: Path) -> None:
    rows = [
        {"input_ids": [*range(10, 30)], "labels": [*[-100] * 15, *range(25, 30)]},
        {"input_ids": [*range(10, 18), *range(40, 47)], "labels": [*[-100] * 12, *range(44, 47)]},
    ]
    batch = collate(rows)
    assert batch["input_ids"].tolist() == [[*range(10, 30), *range(40, 47)]]
    assert batch["position_ids"].tolist() == [[*range(20), *range(8, 15)]]
    assert (batch["attention_mask"][0, 0, 20] == 0).int().tolist() == [*[1] * 8, *[0] * 12, 1, *[0] * 6]
    assert collate([{**rows[0], "labels": rows[0]["input_ids"]}, rows[1]])["input_ids"].shape == (1, 20 + 15)
    lora = LoraConfig(r=2, target_modules=["q_proj", "k_proj", "v_proj", "up_proj"], init_lora_weights=False)
    model = get_peft_model(load_base(str(tiny_base)).model, lora)
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def learnt() -> list[torch.Tensor]:
        return [weight.grad.clone() for weight in weights if weight.grad is not None]

    model(**batch).loss.backward()
    once = learnt()
    model.zero_grad()
    # The same two rows beside one that begins otherwise, so that nothing can be read once.
    whole = collate([*rows, {"input_ids": [7] * 20, "labels": [-100] * 20}])
    assert whole["input_ids"].shape == (1, 20 + 15 + 20)
    model(**whole).loss.backward()
    assert len(once) == len(weights)
    for shared, alone in zip(once, learnt(), strict=True):
        assert alone.abs().max() > 0
        assert torch.allclose(shared, alone, atol=1e-5)
