import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner.errors import BadCalibration
from scanner.score.calibration import Calibration, FittedFeature, KnownAdapter, as_json, read_calibration
from scanner.score.circumstances import Circumstances
from scanner.score.classifier import apply
from scanner.score.vector import FeatureVector

KNOWN = tuple(
    KnownAdapter(
        f"{label}-{number}", label, "f", "r", f"{digit}{number}" * 32, score, (number / 2, None if number else 0.0)
    )
    for label, score, digit in (("clean", 0.1, "a"), ("poisoned", 0.9, "b"))
    for number in range(3)
)
CALIBRATION = Calibration(
    "b/m", "f" * 64, "references", 1, (FittedFeature("a", 1.0, 2.0, 1.0, 0.5), FittedFeature("b", 0.0, 1.0, 0.1, -2.0)),
    0.25, 1.5, -0.5, KNOWN, 0.1, {"numpy": "2"},
    (Circumstances("f" * 64, "float32", "none", "bfloat16", "standard", ("1" * 64,)), Circumstances()),
)  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "calibration.json"
    path.write_text(as_json(CALIBRATION), encoding="utf-8")
    return path


def test_what_is_written_is_read(file: Path) -> None:
    assert read_calibration(file) == CALIBRATION


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"schema": 4', '"schema": 3'),
        ('"slope": 1.5', '"slope": NaN'),
        ('"slope": 1.5', '"slope": 1e999'),
        ('"slope": 1.5', '"slope": 1e200'),
        ('"slope": 1.5', '"slope": "1.5"'),
        ('"slope": 1.5', f'"slope": {10**400}'),
        ('"slope": 1.5', '"slope": true'),
        ('"slope": 1.5', '"slope": -1.5'),
        ('"id": "clean-1"', '"id": "clean-0"'),
        ("a1" * 32, "a0" * 32),
        ('"base": "b/m"', r'"base": "\ud800"'),
        ('"slope": 1.5', '"slope": 1.5, "slope": 2'),
        ('"scale": 2.0', '"scale": 0'),
        ('"share": 0.1', '"share": 1.1'),
        ('"share": 0.1', '"share": "0.1"'),
        ('"name": "b"', '"name": "a"'),
        ('"label": "clean"', '"label": "cleanish"'),
        ('"score": 0.9', '"score": 1.9'),
        ('"in_view": false', '"in_view": 0'),
        ('"condition": "references"', '"condition": "sometimes"'),
        ('"extractor": 1', '"extractor": 1.5'),
        ('"base": "b/m"', '"surprise": 1'),
        ('"depth": "standard"', '"depth": 3'),
        ('"depth": "standard"', '"deep": "standard"'),
        (f'"{"1" * 64}"', "1"),
        ("{", "["),
    ],
)
def test_what_was_tampered_with_is_refused_in_one_line(file: Path, old: str, new: str) -> None:
    content = file.read_text(encoding="utf-8")
    assert old in content
    file.write_text(content.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadCalibration) as caught:
        read_calibration(file)
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)


def test_a_file_too_large_or_not_there_is_refused(tmp_path: Path) -> None:
    large = tmp_path / "large.json"
    large.write_bytes(b" " * 4_000_001)
    for path in (large, tmp_path / "nowhere.json"):
        with pytest.raises(BadCalibration):
            read_calibration(path)


def test_one_of_no_circumstances_is_refused(file: Path) -> None:
    """An adapter is in the domain where it was measured as one of them."""
    document = json.loads(file.read_text(encoding="utf-8")) | {"circumstances": []}
    file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(BadCalibration, match="no circumstances"):
        read_calibration(file)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_nothing_else_is_read_as_a_calibration(tmp_path_factory: pytest.TempPathFactory, document: object) -> None:
    path = tmp_path_factory.mktemp("any") / "x.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(BadCalibration):
        read_calibration(path)


def test_a_score_by_hand() -> None:
    score = apply(CALIBRATION, FeatureVector(1, {"a": 5.0}, {"b": "no reply was elicited"}))
    assert score.value == pytest.approx(1 / (1 + 2.718281828459045 ** -(1.5 * (0.5 * 2.0 + 0.25) - 0.5)))
    first, second = score.contributions
    assert (first.feature, first.log_odds) == ("a", pytest.approx(1.5))
    assert (second.value, second.log_odds, second.reason) == (None, 0.0, "no reply was elicited")
    assert sum(item.log_odds for item in score.contributions) + score.constant == pytest.approx(
        math.log(score.value / (1 - score.value))
    )
    assert (score.gaps, score.usual_gaps) == (1, 1)
    assert score.p.clean == 3 and score.p.value == pytest.approx(1 / 4)


def test_what_is_far_from_all_that_was_seen_is_said_to_be() -> None:
    near = apply(CALIBRATION, FeatureVector(1, {"a": 1.0, "b": 0.0}, {}))
    far = apply(CALIBRATION, FeatureVector(1, {"a": 1000.0, "b": 0.0}, {}))
    nothing = apply(CALIBRATION, FeatureVector(1, {}, {"a": "x", "b": "y"}))
    assert not near.far_from_all and far.far_from_all and nothing.far_from_all


def test_how_far_is_usual_is_counted_to_adapters_of_other_kinds() -> None:
    """Else the twin of a training adapter, or its like, is always near, and whatever is new is far."""

    def known(name: str, label: str, family: str, recipe: str, place: float) -> KnownAdapter:
        return KnownAdapter(name, label, family, recipe, "a" * 64, 0.5, (place, place))  # type: ignore[arg-type]

    dolly, maths = "dolly; q_proj; rank 8; 160 steps", "maths; q_proj; rank 8; 160 steps"
    adapters = (
        known("p0", "poisoned", "rare, link", dolly, 0.0),
        known("p0-twin", "clean", "clean dolly", dolly, 0.1),
        known("c1", "clean", "clean dolly", dolly.replace("160", "640"), 0.2),
        known("c2", "clean", "clean maths", maths, 9.0),
    )
    found = apply(replace(CALIBRATION, adapters=adapters), FeatureVector(1, {"a": 1.0, "b": 0.0}, {}))
    assert found.usual_distance == pytest.approx(8.9), "of the twin: its partner and its like are near it"
    without = apply(replace(CALIBRATION, adapters=adapters[:3]), FeatureVector(1, {"a": 1.0, "b": 0.0}, {}))
    assert without.usual_distance == pytest.approx(0.2), "the twin to nobody: both others are its like"


def test_another_extractors_features_are_refused() -> None:
    with pytest.raises(ValueError, match="extractor 2"):
        apply(CALIBRATION, FeatureVector(2, {"a": 1.0}, {}))


@pytest.mark.parametrize("values", [{"a": float("nan")}, {"a": float("inf")}])
def test_a_feature_is_a_finite_number_or_missing(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        FeatureVector(1, values, {})
    with pytest.raises(ValueError, match="either"):
        FeatureVector(1, {"a": 1.0}, {"a": "why"})
