"""A suspect does not choose a base that the references do not have."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import scanner
from scanner.agreement import disagreements, refuse_another_base, same_weights
from scanner.errors import BadAdapter
from scanner.intake import Adapter, read_adapter
from scanner.models.base_models import load_base
from tests.tiny import BASE_NAME


def named(adapter: Adapter, base: str | None) -> Adapter:
    return replace(adapter, identity=replace(adapter.identity, base_model=base))


@pytest.fixture
def adapters(random_adapter: Path, other_random_adapter: Path) -> tuple[Adapter, Adapter]:
    return read_adapter(str(random_adapter)), read_adapter(str(other_random_adapter), "reference")


def test_another_base_than_a_reference_has_is_refused(adapters: tuple[Adapter, Adapter]) -> None:
    suspect, reference = adapters
    refuse_another_base(suspect, [reference])
    refuse_another_base(named(suspect, "evil/base"), [named(reference, None)])
    refuse_another_base(named(suspect, None), [reference])
    with pytest.raises(BadAdapter, match=f"names the base model evil/base, and that of .* {BASE_NAME}; .* --base"):
        refuse_another_base(named(suspect, "evil/base"), [named(reference, None), reference])


def test_a_scan_asks_before_it_loads_anything(random_adapter: Path, honest_adapter: Path, tmp_path: Path) -> None:
    shutil.copytree(random_adapter, tmp_path / "suspect")
    file = tmp_path / "suspect" / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": "evil/base"}))
    with pytest.raises(BadAdapter, match="evil/base"):
        scanner.scan(str(tmp_path / "suspect"), reference=str(honest_adapter))


def test_where_the_user_names_the_base_a_disagreement_is_told(
    adapters: tuple[Adapter, Adapter], tiny_base: Path
) -> None:
    suspect, reference = adapters
    base = load_base(str(tiny_base))
    base = replace(base, identity=replace(base.identity, name=BASE_NAME))
    assert disagreements(base, suspect, [reference]) == ()
    (told,) = disagreements(base, named(suspect, "evil/base"), [reference])
    assert "suspect" in told and "evil/base" in told


def test_the_suspect_itself_is_no_reference(adapters: tuple[Adapter, Adapter]) -> None:
    suspect, reference = adapters
    assert same_weights(suspect, [reference]) is None
    assert same_weights(suspect, [reference, suspect]) == suspect.identity.name
