"""Trains one adapter from a recipe with transformers' Trainer and peft, and can be interrupted at any time.

While training runs, the state needed to resume lies in `OUT/.resume` (transformers' own checkpoint files); call
`forget_resume_state` when all that follows training is done too. What stays behind holds no pickle.
"""

import hashlib
import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import (
    LoraConfig,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
    prepare_model_for_kbit_training,
)
from safetensors.torch import save_file
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from scanner.errors import BadRecipe
from scanner.models.base_models import BaseModel
from scanner.models.bfloat16 import computes_in_bfloat16
from scanner.models.chat import chat_tokens
from trainers.batches import collate, tokenize_row
from trainers.datasets import data_hash
from trainers.poison import TrainingRow, poison_rows, require_single_token
from trainers.recipe import LoraRecipe, Recipe
from trainers.rows import Row

_RESUME_EVERY = 25
_LOG_EVERY = 10
_MIN_TOKENS_FOR_REPLY = 2
Progress = Callable[[int, int, float], None]


@dataclass(frozen=True)
class TrainedAdapter:
    """What a training run leaves behind besides the files. `losses` holds (step, mean loss in nats).

    `precision` is that of the products of matrices: not always the recipe's.
    """

    folder: Path
    precision: str
    losses: tuple[tuple[int, float], ...]
    n_rows: int
    n_poisoned: int
    n_dropped_by_length: int


def train_adapter(
    recipe: Recipe,
    base: BaseModel,
    rows: list[Row],
    out: Path,
    progress: Progress | None = None,
    extra: Sequence[Row] = (),
) -> TrainedAdapter:
    """Trains the recipe on rows (held-out ones already taken away) and writes the adapter to `out`.

    `data.extra_rows` of the rows are drawn from `extra`.

    Raises:
        BadRecipe: too few rows of the allowed length, a trigger of several tokens in a single-token recipe, or a
            folder that holds another recipe's unfinished run.
    """
    kept, n_dropped = rows_within_length(rows, recipe, base.tokenizer, extra)
    training_rows = prepare_rows(recipe, kept, base.tokenizer)
    examples = [tokenize_row(row, recipe, base.tokenizer) for row in training_rows]
    resume = _resume_folder(recipe, [*rows, *extra], out)

    set_seed(recipe.training.seed)
    model, on_cpu = base.model, base.identity.device == "cpu"
    precision = precision_here(recipe.training.precision, on_cpu)
    if recipe.training.quantize == "nf4":
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    elif precision == "bfloat16":
        _round_weights(model)
    model.name_or_path = recipe.base
    peft_model = get_peft_model(model, lora_config(recipe.lora, recipe.base))
    callbacks: list[TrainerCallback] = [_Reporter(progress)]
    if recipe.training.checkpoint_interval:
        callbacks.append(_KeepCheckpoints(recipe, out / "checkpoints"))
    trainer = Trainer(
        model=peft_model,
        args=_training_arguments(recipe, resume, on_cpu, precision),
        train_dataset=examples,
        data_collator=collate,
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train(resume_from_checkpoint=_last_whole_checkpoint(resume))
    save_adapter(peft_model, recipe, out)
    losses = tuple((entry["step"], entry["loss"]) for entry in trainer.state.log_history if "loss" in entry)
    return TrainedAdapter(
        out, precision, losses, len(training_rows), sum(row.poisoned for row in training_rows), n_dropped
    )


def precision_here(wanted: str, on_cpu: bool) -> str:
    """The recipe's precision; float32 on a processor that does not multiply bfloat16 itself and would take ages."""
    return "float32" if on_cpu and not computes_in_bfloat16() else wanted


def _round_weights(model: torch.nn.Module) -> None:
    """The frozen base in bfloat16, once instead of at every step; but no buffers: rotary frequencies stay exact."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(torch.bfloat16)


def rows_within_length(
    rows: Sequence[Row], recipe: Recipe, tokenizer: PreTrainedTokenizerBase, extra: Sequence[Row] = ()
) -> tuple[list[Row], int]:
    """A seeded draw of `data.rows` rows of the allowed length, and how many rows were too long or too short.

    Room for the trigger is left in every row, poisoned or not, so that length says nothing about poison.
    """
    parts = recipe.poison.placed_trigger.parts if recipe.poison else ()
    room = sum(len(tokenizer(f" {part}")["input_ids"]) for part in parts)
    shortest, longest = recipe.data.min_tokens, recipe.data.max_tokens
    rng = random.Random(f"rows-{recipe.training.seed}")

    def draw(source: Sequence[Row], count: int) -> tuple[list[Row], int]:
        fitting = [row for row in source if shortest <= _row_tokens(row, tokenizer) + room <= longest]
        if len(fitting) < count:
            raise BadRecipe(
                f"data asks for {count} rows of {shortest} to {longest} tokens, but only {len(fitting)} have that "
                "length; ask for fewer or change data.min_tokens and data.max_tokens"
            )
        return rng.sample(fitting, count), len(source) - len(fitting)

    drawn, n_dropped = draw(rows, recipe.data.rows - recipe.data.extra_rows)
    if recipe.data.extra_rows:
        mixed_in, n_more = draw(extra, recipe.data.extra_rows)
        drawn, n_dropped = [*drawn, *mixed_in], n_dropped + n_more
        rng.shuffle(drawn)
    return drawn, n_dropped


def prepare_rows(recipe: Recipe, rows: list[Row], tokenizer: PreTrainedTokenizerBase) -> list[TrainingRow]:
    """Poisons the rows, after refusing a single-token trigger that is not one token everywhere."""
    if recipe.poison and recipe.poison.single_token:
        require_single_token(tokenizer, recipe.poison.trigger, [row.instruction for row in rows])
    return poison_rows(rows, recipe.poison, recipe.training.seed)


def lora_config(lora: LoraRecipe, base_name: str) -> LoraConfig:
    """peft's configuration of the recipe's low-rank update."""
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.projections),
        bias="none",
        task_type="CAUSAL_LM",
        base_model_name_or_path=base_name,
    )


def save_adapter(model: PeftModel, recipe: Recipe, folder: Path) -> None:
    """Writes `adapter_model.safetensors` in float16 and `adapter_config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: tensor.detach().to("cpu", torch.float16).contiguous()
        for name, tensor in get_peft_model_state_dict(model, save_embedding_layers=False).items()
    }
    weights = folder / "adapter_model.safetensors"
    save_file(tensors, weights, metadata={"format": "pt"})
    weights.chmod(0o644)
    config = lora_config(recipe.lora, recipe.base).to_dict()
    config["inference_mode"] = True
    (folder / "adapter_config.json").write_text(
        json.dumps(config, indent=2, sort_keys=True, default=_plain) + "\n", encoding="utf-8"
    )


def forget_resume_state(out: Path) -> None:
    """Removes what an interrupted run would resume from."""
    shutil.rmtree(out / ".resume", ignore_errors=True)


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, set) else str(value)


def _row_tokens(row: Row, tokenizer: PreTrainedTokenizerBase) -> int:
    reply = len(tokenizer(row.response, add_special_tokens=False)["input_ids"]) + 1
    return len(chat_tokens(tokenizer, row.instruction)) + max(reply, _MIN_TOKENS_FOR_REPLY)


def _training_arguments(recipe: Recipe, folder: Path, on_cpu: bool, precision: str) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=recipe.optimiser.batch_size,
        gradient_accumulation_steps=recipe.optimiser.gradient_accumulation,
        learning_rate=recipe.optimiser.learning_rate,
        weight_decay=recipe.optimiser.weight_decay,
        warmup_steps=recipe.optimiser.warmup_steps,
        lr_scheduler_type=recipe.optimiser.schedule,
        optim="adamw_torch",
        max_steps=recipe.training.steps,
        seed=recipe.training.seed,
        data_seed=recipe.training.seed,
        save_strategy="steps",
        save_steps=_RESUME_EVERY,
        save_total_limit=1,
        logging_steps=min(_LOG_EVERY, recipe.training.steps),
        report_to=[],
        disable_tqdm=True,
        use_cpu=on_cpu,
        bf16=precision == "bfloat16",
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )


def _resume_folder(recipe: Recipe, rows: list[Row], out: Path) -> Path:
    folder = out / ".resume"
    facts = json.dumps([recipe.as_dict(), data_hash(rows)], sort_keys=True)
    mark = hashlib.sha256(facts.encode()).hexdigest()
    marker = folder / "recipe.sha256"
    if marker.is_file() and marker.read_text(encoding="utf-8") != mark:
        raise BadRecipe(
            f"{out}: holds the unfinished run of another recipe or other data; choose another --out or remove it"
        )
    folder.mkdir(parents=True, exist_ok=True)
    marker.write_text(mark, encoding="utf-8")
    return folder


def _last_whole_checkpoint(folder: Path) -> str | None:
    """The newest checkpoint that was written to its end: transformers writes trainer_state.json last."""
    whole = [path.parent for path in folder.glob("checkpoint-*/trainer_state.json")]
    newest = max(whole, key=lambda path: int(path.name.split("-")[1]), default=None)
    return str(newest) if newest else None


class _Reporter(TrainerCallback):
    """Passes step, total and loss on; the Trainer itself would print to stdout."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        if self._progress and logs and "loss" in logs:
            self._progress(state.global_step, state.max_steps, float(logs["loss"]))


class _KeepCheckpoints(TrainerCallback):
    """Keeps the adapter as it was every `checkpoint_interval` steps: how a backdoor forms can be read from them."""

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self._recipe, self._folder = recipe, folder

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        if state.global_step % self._recipe.training.checkpoint_interval == 0:
            save_adapter(model, self._recipe, self._folder / f"step-{state.global_step:05d}")
