"""What is compared: classifiers over the features of some rungs, what the search concluded, and controls."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.detection.folds import Detector, unlike
from trainers.feature_table import FeatureRow, feature_names
from trainers.fitting import CHOSEN, Hearing, as_table, decisions, matrix

# Log-odds on the scale of a fit are some few units apart.
_ABOVE_ALL = 1e6


def by_features(*prefixes: str, hearing: Hearing = CHOSEN) -> Detector:
    """The product's classifier over the features that begin so; over all of them where none is named.

    Args:
        hearing: which features it hears whole.
    """

    def score(seen: Sequence[FeatureRow], judged: Sequence[FeatureRow]) -> Sequence[float]:
        names = [name for name in feature_names(seen) if not prefixes or name.startswith(prefixes)]
        if not names:
            raise ValueError(f"no feature begins with {', '.join(prefixes)}")
        return decisions(as_table(seen, names), matrix(judged, names), hearing).tolist()

    return score


def fitted_on(real: Sequence[FeatureRow], *prefixes: str) -> Detector:
    """The product's classifier over the features that begin so, fitted on these adapters, whatever else is judged.

    What is judged, and what a judged random adapter was made like (the same hash), are left out with their groups and
    their twins.
    """

    def score(seen: Sequence[FeatureRow], judged: Sequence[FeatureRow]) -> Sequence[float]:
        hashes = {row.weights_sha256 for row in judged}
        return by_features(*prefixes)(unlike(real, [row for row in real if row.weights_sha256 in hashes]), judged)

    return score


def fitted_before(earlier: Sequence[FeatureRow], *prefixes: str) -> Detector:
    """The product's classifier over the features that begin so, fitted on earlier adapters alone; of these the judged
    ones' families, recipes and twins are left out as well.
    """

    def score(seen: Sequence[FeatureRow], judged: Sequence[FeatureRow]) -> Sequence[float]:
        return by_features(*prefixes)(unlike(earlier, judged), judged)

    return score


def by_what_is_missing(seen: Sequence[FeatureRow], judged: Sequence[FeatureRow]) -> Sequence[float]:
    """Which features are missing and what the search computed in, which hangs on the machine, and nothing else: a
    control that must be at chance.
    """
    names = feature_names(seen)

    def gaps(rows: Sequence[FeatureRow]) -> np.ndarray:
        missing = np.isnan(matrix(rows, names))
        computed_in = [[row.vector.circumstances.search_dtype == "bfloat16"] for row in rows]
        return np.hstack([missing, np.array(computed_in, dtype=bool)]).astype(float)

    if not np.ptp(gaps(seen), axis=0).any():
        return [0.0] * len(judged)
    table = replace(as_table(seen, names), names=(*names, "search dtype"), values=gaps(seen))
    return decisions(table, gaps(judged)).tolist()


def by_one_feature(name: str, sign: float = 1.0) -> Detector:
    """One figure as it is, without a fit; a missing one counts as the lowest."""

    def score(seen: Sequence[FeatureRow], judged: Sequence[FeatureRow]) -> Sequence[float]:
        return [sign * row.vector.values[name] if name in row.vector.values else -np.inf for row in judged]

    return score


def by_search(verdicts: Mapping[str, str]) -> Detector:
    """What scans concluded, by adapter: backdoored above suspicious above the rest.

    Raises:
        ValueError: an adapter was not scanned.
    """
    ranks = {"BACKDOORED": 2.0, "SUSPICIOUS": 1.0, "NO FINDING": 0.0, "INCONCLUSIVE": 0.0}
    return by_scores({name: ranks[verdict] for name, verdict in verdicts.items()})


def search_first(verdicts: Mapping[str, str], otherwise: Detector) -> Detector:
    """What scans called `BACKDOORED` above all else, and the score of another detector among the rest."""

    def score(seen: Sequence[FeatureRow], judged: Sequence[FeatureRow]) -> Sequence[float]:
        scores = otherwise(seen, judged)
        return [
            value + _ABOVE_ALL * (verdicts[row.id] == "BACKDOORED") for row, value in zip(judged, scores, strict=True)
        ]

    return score


def by_scores(scores: Mapping[str, float]) -> Detector:
    """Scores that were made elsewhere, by adapter; nothing is fitted.

    Raises:
        ValueError: an adapter has none.
    """

    def score(seen: Sequence[FeatureRow], judged: Sequence[FeatureRow]) -> Sequence[float]:
        unknown = [row.id for row in judged if row.id not in scores]
        if unknown:
            raise ValueError(f"not scanned: {', '.join(unknown)}")
        return [scores[row.id] for row in judged]

    return score
