"""The classifier in a whole scan, with a calibration made by hand: none that is shipped fits a tiny base."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

import scanner.score.scored
from scanner.errors import ScannerError
from scanner.features import EXTRACTOR, meanings, rungs
from scanner.intake import read_adapter
from scanner.models.base_models import load_base
from scanner.models.bfloat16 import computes_in_bfloat16
from scanner.models.model_pair import ModelPair
from scanner.options import ScanOptions, command_line
from scanner.pipeline import run_scan
from scanner.score.calibration import Calibration, FittedFeature, KnownAdapter
from scanner.score.circumstances import Circumstances
from scanner.score.scored import (
    NO_CALIBRATION,
    NOT_SEARCHED,
    OUT_OF_TIME,
    SAME_AS_REFERENCE,
    SWITCHED_OFF,
    score_adapter,
    usable_calibration,
)
from scanner.score.vector import FeatureVector
from scanner.search.find import Found
from scanner.types import Report, VerdictKind
from trainers.extract import features_of

UNSAID = Circumstances()
SEARCHED_IN = "bfloat16" if computes_in_bfloat16() else "float32"
NAMES = tuple(name for rung in rungs() for name in rung.features)


def calibration(
    fingerprint: str, clean_score: float, spread: float = 1e9, circumstances: Circumstances = UNSAID
) -> Calibration:
    """All features count nothing, so that every adapter scores 0.5; `spread` is how far known adapters lie apart."""
    known = tuple(
        KnownAdapter(
            f"{label}{n}", label, label, "r", f"{ord(label[0]):02x}{n:02d}" * 16, score, (n * spread,) * len(NAMES)
        )
        for label, score, count in (("clean", clean_score, 20), ("poisoned", 0.9, 2))
        for n in range(count)
    )
    features = tuple(FittedFeature(name, 0.0, 1.0, 1.0, 0.0) for name in NAMES)
    fitted = Calibration("tiny", fingerprint, "references", EXTRACTOR, features, 0.0, 1.0, 0.0, known, 0.1, {})
    return replace(fitted, circumstances=(circumstances,))


def scanned(
    monkeypatch: pytest.MonkeyPatch, base: Path, suspect: Path, reference: Path, clean_score: float, **options: object
) -> Report:
    fingerprint = load_base(str(base)).identity.fingerprint
    compared = read_adapter(str(reference)).identity.weights_sha256
    alike = Circumstances(fingerprint, "float32", "none", SEARCHED_IN, "quick", (compared,))
    known = calibration(fingerprint, clean_score, circumstances=alike)
    monkeypatch.setattr(scanner.score.scored, "shipped_calibrations", lambda: (known,))
    chosen = ScanOptions(base=str(base), use_signatures=False, depth="quick", metrics=False, **options)  # type: ignore[arg-type]
    return run_scan(str(suspect), [str(reference)], chosen)


def test_an_adapter_above_all_clean_ones_is_suspicious(
    monkeypatch: pytest.MonkeyPatch, tiny_base: Path, honest_adapter: Path, other_honest_adapter: Path
) -> None:
    report = scanned(monkeypatch, tiny_base, other_honest_adapter, honest_adapter, clean_score=0.2)
    assert report.score and report.score.alarm
    assert (report.verdict.kind, report.verdict.headline) == (
        VerdictKind.SUSPICIOUS,
        "its score is one that few clean adapters reach",
    )
    assert [item.feature for item in report.score.score.contributions] == sorted(NAMES)
    assert sum(item.value is not None for item in report.score.score.contributions) > len(NAMES) / 2
    assert {item.feature: item.meaning for item in report.score.score.contributions} == meanings()
    assert next(item for item in report.coverage if item.what == "classifier").looked_at


def test_an_adapter_among_the_clean_ones_is_not(
    monkeypatch: pytest.MonkeyPatch, tiny_base: Path, honest_adapter: Path, other_honest_adapter: Path
) -> None:
    report = scanned(monkeypatch, tiny_base, other_honest_adapter, honest_adapter, clean_score=0.8)
    assert report.score and not report.score.unusual
    assert report.verdict.kind == VerdictKind.NO_FINDING


def test_a_rate_that_so_few_clean_adapters_cannot_tell_is_refused(
    monkeypatch: pytest.MonkeyPatch, tiny_base: Path, honest_adapter: Path, other_honest_adapter: Path
) -> None:
    with pytest.raises(ScannerError, match="20 clean adapters"):
        scanned(monkeypatch, tiny_base, other_honest_adapter, honest_adapter, 0.2, false_alarm_rate=0.01)


def test_a_scan_that_was_not_scored_says_why(tiny_base: Path, honest_adapter: Path, other_honest_adapter: Path) -> None:
    pair = ModelPair(
        load_base(str(tiny_base)), read_adapter(str(other_honest_adapter)), [read_adapter(str(honest_adapter))]
    )
    old = replace(calibration("f" * 64, 0.2), extractor=EXTRACTOR + 1)
    assert usable_calibration(pair, "standard", 0.05, [old]) is None
    searched = cast(Found, object())
    assert score_adapter(pair, searched, None, None, 0.05).missing == NO_CALIBRATION
    assert score_adapter(pair, searched, None, calibration("f" * 64, 0.2), 0.05).missing == OUT_OF_TIME
    # Without a search no calibration is asked for, so that none being there is no reason.
    assert score_adapter(pair, None, None, None, 0.05).missing == NOT_SEARCHED
    assert score_adapter(pair, None, None, calibration("f" * 64, 0.2), 0.05).missing == NOT_SEARCHED
    itself = ModelPair(
        load_base(str(tiny_base)), read_adapter(str(honest_adapter)), [read_adapter(str(honest_adapter))]
    )
    known = calibration("f" * 64, 0.2)
    assert score_adapter(itself, searched, FeatureVector(EXTRACTOR, {}, {}), known, 0.05).missing == SAME_AS_REFERENCE


def test_the_calibration_of_another_base_ends_no_scan_by_its_size(
    tiny_base: Path, honest_adapter: Path, other_honest_adapter: Path
) -> None:
    base = load_base(str(tiny_base))
    pair = ModelPair(base, read_adapter(str(other_honest_adapter)), [read_adapter(str(honest_adapter))])
    elsewhere, own = calibration("f" * 64, 0.2), calibration(base.identity.fingerprint, 0.2)
    assert usable_calibration(pair, "standard", 0.05, [elsewhere]) is elsewhere
    assert usable_calibration(pair, "standard", 0.01, [elsewhere]) is None
    with pytest.raises(ScannerError, match="20 clean adapters"):
        usable_calibration(pair, "standard", 0.01, [elsewhere, own])
    (reference,) = (pair.adapters[name].identity.weights_sha256 for name in pair.reference_names)
    beside = calibration(base.identity.fingerprint, 0.2, circumstances=Circumstances(references=(reference,)))
    assert usable_calibration(pair, "standard", 0.05, [own, beside]) is beside


def test_a_known_adapter_is_known_by_its_weights(
    tiny_base: Path, honest_adapter: Path, other_honest_adapter: Path
) -> None:
    base, suspect = load_base(str(tiny_base)), read_adapter(str(other_honest_adapter))
    pair = ModelPair(base, suspect, [read_adapter(str(honest_adapter), "reference")])
    known = calibration(base.identity.fingerprint, 0.2)
    first = replace(known.adapters[0], weights_sha256=suspect.identity.weights_sha256)
    known = replace(known, adapters=(first, *known.adapters[1:]))
    found = score_adapter(pair, cast(Found, object()), FeatureVector(EXTRACTOR, {}, {}), known, 0.06).assessment
    assert found and found.score.value == 0.2 and first.id in found.doubts[0] and len(found.clean) == 19


def test_whether_it_is_scored_is_part_of_the_command() -> None:
    assert "--no-score" in command_line("a", [], ScanOptions(score=False))
    assert "--no-score" not in command_line("a", [], ScanOptions())


def test_a_score_that_is_off_costs_no_features(
    monkeypatch: pytest.MonkeyPatch, tiny_base: Path, honest_adapter: Path, other_honest_adapter: Path
) -> None:
    measured: list[object] = []
    monkeypatch.setattr(scanner.pipeline, "measured_features", lambda *_: measured.append(1))
    report = scanned(monkeypatch, tiny_base, other_honest_adapter, honest_adapter, clean_score=0.2, score=False)
    assert (measured, report.score, report.score_missing) == ([], None, SWITCHED_OFF)
    assert report.verdict.kind == VerdictKind.NO_FINDING
    assert next(item.detail for item in report.coverage if item.what == "classifier") == SWITCHED_OFF
    scanned(monkeypatch, tiny_base, other_honest_adapter, honest_adapter, clean_score=0.2)
    assert measured == [1], "with it on, they are measured here"


def test_the_rate_is_part_of_the_command() -> None:
    assert "--false-alarm-rate 0.1" in command_line("a", [], ScanOptions(false_alarm_rate=0.1))
    assert "--false-alarm-rate" not in command_line("a", [], ScanOptions())


def test_a_scan_hands_out_the_features_that_an_extraction_measures(
    monkeypatch: pytest.MonkeyPatch, tiny_base: Path, honest_adapter: Path, other_honest_adapter: Path
) -> None:
    kept: list[FeatureVector] = []
    options = ScanOptions(base=str(tiny_base), use_signatures=False, depth="standard", metrics=False, score=False)
    known = calibration(load_base(str(tiny_base)).identity.fingerprint, 0.2)
    monkeypatch.setattr(scanner.score.scored, "shipped_calibrations", lambda: (known,))
    where = (str(other_honest_adapter), [str(honest_adapter)], options)
    report = run_scan(*where, keep_features=kept.append)
    assert report.score is None and report.score_missing == SWITCHED_OFF, "there is a calibration of this very base"
    base = load_base(str(tiny_base))
    adapters = read_adapter(str(other_honest_adapter)), [read_adapter(str(honest_adapter), "reference")]
    assert kept == [features_of(base, *adapters)]
    assert len(kept[0].values) > len(NAMES) / 2
