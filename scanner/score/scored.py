"""The classifier's part of a scan: features from what the search saw, and where they put the adapter."""

from collections.abc import Sequence
from dataclasses import dataclass

from scanner.agreement import same_weights
from scanner.features import EXTRACTOR, Evidence, circumstances_of, extract, feature_prompts, meanings
from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.score.assess import Assessment, assess, check_rate, choose_calibration
from scanner.score.calibration import Calibration, Condition, shipped_calibrations
from scanner.score.conformal import threshold
from scanner.score.vector import FeatureVector
from scanner.search.find import Found

NO_CALIBRATION = "there are no adapters of known truth that it could be compared with, by this version and at this rate"
NO_CALIBRATION_ALONE = "there are no adapters of known truth that were measured without a reference, as it was"
SWITCHED_OFF = "switched off"
NOT_SEARCHED = "no unknown trigger was searched for, and its features are read from that search"
SAME_AS_REFERENCE = "a reference is the suspect itself"
OUT_OF_TIME = "time ran out before its features could be read"


@dataclass(frozen=True)
class Scored:
    """An adapter's assessment, or the reason in `missing` why there is none."""

    assessment: Assessment | None = None
    missing: str | None = None


def usable_calibration(
    pair: ModelPair, depth: str, rate: float, calibrations: Sequence[Calibration] | None = None
) -> Calibration | None:
    """The calibration that a scan of this pair is scored by; None where there is none.

    Args:
        depth: of the search that features will be read from.
        calibrations: to choose from; those that come with the package by default.

    Raises:
        ScannerError: it is this base's own, and has too few clean adapters for such a rate of false alarms.
    """
    known = shipped_calibrations() if calibrations is None else calibrations
    condition: Condition = "references" if pair.reference_names else "base only"
    fitting = [item for item in known if item.extractor == EXTRACTOR]
    chosen = choose_calibration(fitting, condition, circumstances_of(pair, depth))
    if chosen is None:
        return None
    if chosen.fingerprint == pair.base.identity.fingerprint:
        check_rate(chosen, rate)
        return chosen
    # That of another base raises no alarm: it must not end the scan of one who never asked for it.
    return chosen if threshold(chosen.clean_scores, rate) is not None else None


def measured_features(pair: ModelPair, found: Found | None, seed: int) -> FeatureVector | None:
    """An adapter's features, read from a search and on prompts that nothing was searched with.

    None where there was no search, or where it ended before its sweep. `trainers/extract.py` gives the same ones
    without the rest of a scan.
    """
    if found is None or found.ground is None or found.result is None:
        return None
    evidence = Evidence(
        pair, found.ground, found.result, feature_prompts(seed), seed, found.trace.depth, frozen=found.frozen
    )
    return extract(evidence)


def score_adapter(
    pair: ModelPair, found: Found | None, vector: FeatureVector | None, calibration: Calibration | None, rate: float
) -> Scored:
    """Scores an adapter's features, or says why it cannot."""
    suspect = pair.adapters[SUSPECT]
    if found is None:
        return Scored(missing=NOT_SEARCHED)
    if calibration is None:
        return Scored(missing=NO_CALIBRATION if pair.reference_names else NO_CALIBRATION_ALONE)
    if vector is None:
        return Scored(missing=OUT_OF_TIME)
    if same_weights(suspect, [pair.adapters[name] for name in pair.reference_names]):
        return Scored(missing=SAME_AS_REFERENCE)
    own_hash = suspect.identity.weights_sha256
    return Scored(assess(calibration, pair.base.identity.fingerprint, vector, rate, own_hash, meanings()))
