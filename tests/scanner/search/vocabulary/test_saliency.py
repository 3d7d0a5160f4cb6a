"""Which tokens excite an adapter."""

from types import SimpleNamespace

import torch

from scanner.intake import Adapter
from scanner.models.model_pair import SUSPECT
from scanner.search.vocabulary.saliency import measure_saliency
from scanner.search.vocabulary.vocabulary_pass import VocabularyPass

SIZE = 40


def _adapter(*modules: str) -> Adapter:
    return SimpleNamespace(updates=[SimpleNamespace(module=module) for module in modules])  # type: ignore[return-value]


def _ranking(excitations: dict[str, dict[str, torch.Tensor]], tryable: torch.Tensor) -> tuple[int, ...]:
    modules = {module for one in excitations.values() for module in one}
    found = VocabularyPass({module: torch.ones(SIZE) for module in modules}, excitations, "")
    adapters = {name: _adapter(*one) for name, one in excitations.items()}
    pair = SimpleNamespace(adapters=adapters, reference_names=tuple(name for name in adapters if name != SUSPECT))
    return measure_saliency(pair, found, tryable)  # type: ignore[arg-type]


def _excited_by(*tokens: int) -> torch.Tensor:
    usual = torch.rand(SIZE, generator=torch.Generator().manual_seed(1)) + 1
    usual[list(tokens)] = 50.0
    return usual


def test_what_excites_the_suspect_alone_leads_whatever_modules_the_reference_touches() -> None:
    every = torch.ones(SIZE, dtype=torch.bool)
    excitations = {SUSPECT: {"0.mlp": _excited_by(3, 9)}, "reference": {"0.q": _excited_by(9)}}
    ranking = _ranking(excitations, every)
    assert ranking[0] == 3 and sorted(ranking) == list(range(SIZE))
    assert set(_ranking({SUSPECT: {"0.mlp": _excited_by(3, 9)}}, every)[:2]) == {3, 9}


def test_what_may_not_be_tried_is_not_ranked() -> None:
    tryable = torch.ones(SIZE, dtype=torch.bool)
    tryable[[3, 5]] = False
    ranking = _ranking({SUSPECT: {"0.q": _excited_by(3, 9)}}, tryable)
    assert ranking[0] == 9 and len(ranking) == SIZE - 2 and not {3, 5} & set(ranking)
