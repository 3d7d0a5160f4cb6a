"""A grid in a zoo file: every combination once, each with an id of its own."""

from pathlib import Path

import pytest

from scanner.errors import BadRecipe
from tests.tiny import ZOO_DEFAULTS
from trainers.grid import expanded
from trainers.zoo import load_zoo


def test_every_combination_is_made_once() -> None:
    entry = {"id": "a", "lora": {"alpha": 4}, "grid": {"lora.rank": [2, 8], "training.seed": [5, 6, 7]}}
    made = expanded(entry, "x")
    assert [item["id"] for item in made] == ["a-1-1", "a-1-2", "a-1-3", "a-2-1", "a-2-2", "a-2-3"]
    assert made[4] == {"id": "a-2-2", "lora": {"alpha": 4, "rank": 8}, "training": {"seed": 6}}
    assert entry["lora"] == {"alpha": 4}, "the entry itself is left as it is"
    assert expanded({"id": "a"}, "x") == [{"id": "a"}]


@pytest.mark.parametrize("grid", [3, {}, {"lora.rank": 2}, {"lora.rank": []}, {"id.x": [1]}])
def test_what_is_no_grid_is_refused(grid: object) -> None:
    with pytest.raises(BadRecipe, match="x: grid"):
        expanded({"id": "a", "grid": grid}, "x")


def test_a_zoo_file_may_hold_one(tmp_path: Path) -> None:
    file = tmp_path / "zoo.toml"
    more = '[[adapter]]\nid = "clean"\ngrid = {{ "lora.rank" = [1, 2], "training.seed" = [3, 4] }}\n'
    file.write_text((ZOO_DEFAULTS + more).format(base="some/base"))
    entries = load_zoo(file)
    assert [(entry.recipe.lora.rank, entry.recipe.training.seed) for entry in entries] == [
        (1, 3),
        (1, 4),
        (2, 3),
        (2, 4),
    ]
    assert len({entry.id for entry in entries}) == 4
    file.write_text((ZOO_DEFAULTS + more.replace("lora.rank", "lora.ranks")).format(base="some/base"))
    with pytest.raises(BadRecipe, match="adapter 1"):
        load_zoo(file)
