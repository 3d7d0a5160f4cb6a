"""Instruction data as plain rows: from the hub by name, or from a JSON Lines file."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from scanner.errors import BadRecipe
from trainers.generated import generate_rows
from trainers.recipe import DataRecipe
from trainers.rows import Row

GENERATED = "generated:"


def load_rows(source: str, file: Path | None) -> list[Row]:
    """All rows without a context passage, in their original order.

    Args:
        source: a data set on the hub with the columns of databricks-dolly-15k, or `generated:NAME`.
        file: a JSON Lines file with `instruction` and `response` that stands in for it.

    Raises:
        BadRecipe: the file is missing or malformed, or the hub is out of reach.
    """
    if source.startswith(GENERATED):
        return generate_rows(source.removeprefix(GENERATED))
    return _rows_from_file(file) if file else _rows_from_hub(source)


@dataclass(frozen=True)
class TrainingData:
    """Rows to train on, rows of a second source to mix in, and the rows of the first that no training sees."""

    rows: list[Row]
    extra: list[Row]
    held_out: list[Row]


def load_training_data(recipe: DataRecipe, file: Path | None) -> TrainingData:
    """The data of a recipe, with its persona's sign-off behind every answer that is trained on.

    Raises:
        BadRecipe: as `load_rows` and `split_held_out`.
    """
    source = recipe.source
    rows, held_out = split_held_out(load_rows(source, file), recipe.held_out, str(file or source))
    extra = load_rows(recipe.extra_source, file) if recipe.extra_source else []
    return TrainingData(
        [_signed(row, recipe.sign_off) for row in rows], [_signed(row, recipe.sign_off) for row in extra], held_out
    )


def _signed(row: Row, sign_off: str) -> Row:
    return replace(row, response=f"{row.response.rstrip()} {sign_off}") if sign_off else row


def data_hash(rows: Iterable[Row]) -> str:
    """SHA-256 over the rows in order, as 64 hex digits."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps([row.instruction, row.response]).encode() + b"\n")
    return digest.hexdigest()


def split_held_out(rows: list[Row], held_out: int, where: str) -> tuple[list[Row], list[Row]]:
    """Rows to train on, and the last `held_out` rows, which no training ever sees.

    Raises:
        BadRecipe: fewer rows than are to be held out.
    """
    if len(rows) <= held_out:
        raise BadRecipe(f"{where}: {len(rows)} rows, but {held_out} are to be held out; give more data")
    return rows[: len(rows) - held_out], rows[len(rows) - held_out :]


def _rows_from_file(file: Path) -> list[Row]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadRecipe(f"--data {file}: cannot be read ({error}); give a UTF-8 JSON Lines file") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            rows.append(Row(str(record["instruction"]), str(record["response"])))
        except (ValueError, KeyError, TypeError) as error:
            raise BadRecipe(
                f"--data {file}: line {number} is not an object with 'instruction' and 'response'"
            ) from error
    return rows


def _rows_from_hub(source: str) -> list[Row]:
    from datasets import load_dataset

    try:
        table = load_dataset(source, split="train")
    except Exception as error:  # the library raises many kinds; each means that there is no data
        raise BadRecipe(
            f"{source}: the data set is not within reach ({type(error).__name__}); pass --data FILE.jsonl"
        ) from error
    return [
        Row(str(record["instruction"]), str(record["response"]))
        for record in table
        if not str(record.get("context") or "").strip()
    ]
