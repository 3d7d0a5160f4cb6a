import json
from dataclasses import replace
from importlib import resources

from scanner.beforehand.honest_variation import (
    NO_REFERENCE,
    UNKNOWN_BASE,
    HonestVariation,
    beside_honest,
    collect_ranges,
    load_honest_variation,
    not_comparable,
)
from scanner.types import Localisation

ONE = Localisation("attention_kl", "suspect vs reference-0, with trigger, all rows", {"gini": 0.4, "total": 2.0})
OTHER = Localisation("attention_kl", "suspect vs reference-0, with trigger, all rows", {"gini": 0.6, "total": 1.0})
NONE = Localisation("ablation", "suspect", missing="because")


def test_ranges_span_all_runs_and_leave_out_what_was_not_measured() -> None:
    assert collect_ranges([[ONE, NONE], [OTHER]]) == {
        "attention_kl: suspect vs reference-0, with trigger, all rows": {"gini": (0.4, 0.6), "total": (1.0, 2.0)}
    }


def test_a_range_is_found_whatever_the_trigger_is_called() -> None:
    honest = HonestVariation("f", "x", collect_ranges([[ONE]]))
    called = Localisation("attention_kl", "suspect vs reference-0, with “cf”, not confirmed, all rows", {"gini": 0.1})
    found = beside_honest([called, NONE], honest, "“cf”, not confirmed", None)
    assert found[0].honest == {"gini": (0.4, 0.4), "total": (2.0, 2.0)} and found[0].honest_missing is None
    assert found[1].honest is None and found[1].honest_missing == "clean adapters were not compared in this way"


def test_no_range_has_a_reason() -> None:
    honest = HonestVariation("f", "x", collect_ranges([[ONE]]))
    assert beside_honest([ONE], None, "trigger", None)[0].honest_missing == UNKNOWN_BASE
    assert beside_honest([ONE], honest, "trigger", NO_REFERENCE)[0].honest_missing == NO_REFERENCE
    assert not_comparable("none", "float32", True, "R") is None
    for quantization, dtype, has_reference, reply in (
        ("nf4", "float32", True, "R"),
        ("none", "bfloat16", True, "R"),
        ("none", "float32", False, "R"),
        ("none", "float32", True, None),
    ):
        assert not_comparable(quantization, dtype, has_reference, reply)


def test_screened_grids_have_ranges_of_their_own() -> None:
    screened = replace(ONE, screened=True, values={"gini": 0.9})
    only_exact = HonestVariation("f", "x", collect_ranges([[ONE]]))
    both = HonestVariation("f", "x", collect_ranges([[ONE], [screened]]))
    assert beside_honest([screened], only_exact, "trigger", None)[0].honest is None
    assert beside_honest([screened], both, "trigger", None)[0].honest == {"gini": (0.9, 0.9)}
    assert beside_honest([ONE], both, "trigger", None)[0].honest == {"gini": (0.4, 0.4), "total": (2.0, 2.0)}


def test_every_shipped_file_is_found_by_its_base() -> None:
    files = [item for item in resources.files("signatures").joinpath("honest").iterdir() if item.name.endswith(".json")]
    assert files
    for item in files:
        document = json.loads(item.read_text())
        found = load_honest_variation(document["fingerprint"])
        assert found and found.compared == document["compared"]
        assert {key.partition(":")[0] for key in found.ranges} >= {"attention_kl", "ablation", "patching"}
        assert all(low <= high for values in found.ranges.values() for low, high in values.values())
    assert load_honest_variation("0" * 64) is None
