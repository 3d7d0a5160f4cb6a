"""A fitted classifier as JSON that a person can read: `signatures/calibration/NAME.json`.

It holds what is applied (means, scales, weights), what it rests on (every training adapter with its hash, label,
family, recipe and its score out of fold), and the versions that made it. Nothing in it is executed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal, get_args

from scanner.errors import BadCalibration, one_line
from scanner.score.circumstances import Circumstances

SCHEMA = 4
Condition = Literal["references", "base only"]
_MAX_BYTES = 4_000_000
# Of any number in the file: the product of two is still finite, as is the square of a distance.
LARGEST = 1e12
_KEYS = {
    "schema", "base", "fingerprint", "condition", "extractor", "features", "intercept", "slope", "offset", "adapters",
    "regularisation", "versions", "circumstances",
}  # fmt: skip
_FEATURE_KEYS = {"name", "mean", "scale", "share", "weight"}
_CIRCUMSTANCE_KEYS = {"base", "dtype", "quantization", "search_dtype", "depth", "references"}
_ADAPTER_KEYS = {"id", "label", "family", "recipe", "weights_sha256", "score", "standardised", "in_view"}


# A clean twin of a poisoned adapter, made by the same recipe with nothing planted, is named after it.
TWIN = "-twin"


def kind_of(recipe: str) -> str:
    """Data and projections of a recipe, "DATA; PROJECTIONS; rank R; S steps": adapters of one kind are held out
    together, however long they train and of whatever rank.
    """
    return "; ".join(recipe.split("; ")[:2])


@dataclass(frozen=True)
class FittedFeature:
    """A feature's mean and scale over the training adapters, and its weight after standardising.

    `share` is how much of itself it kept before the fit's penalty: 1 of the foremost (`trainers/fitting.py`). The
    weight is that of the whole feature.
    """

    name: str
    mean: float
    scale: float
    share: float
    weight: float


@dataclass(frozen=True)
class KnownAdapter:
    """A training adapter. `score` is that of a model fitted without its recipe or family; `standardised` by feature,
    None where it was missing; `in_view`: what the score hears was chosen by people or scripts that had looked at it.
    """

    id: str
    label: Literal["clean", "poisoned"]
    family: str
    recipe: str
    weights_sha256: str
    score: float
    standardised: tuple[float | None, ...]
    in_view: bool = False

    def is_like(self, other: "KnownAdapter") -> bool:
        """Whether a fit that judges this one may not have seen the other: of its kind or family, or its twin."""
        own, its = (item.family if item.label == "poisoned" else kind_of(item.recipe) for item in (self, other))
        return (self.label, own) == (other.label, its) or self.id.removesuffix(TWIN) == other.id.removesuffix(TWIN)


@dataclass(frozen=True)
class Calibration:
    """A fitted classifier for one base and one condition.

    The score of an adapter with standardised features z is 1 / (1 + exp(−(slope · (w · z + intercept) + offset))).
    `regularisation` is what nested cross-validation chose; `circumstances` are the different ones under which its
    adapters were measured.
    """

    base: str
    fingerprint: str
    condition: Condition
    extractor: int
    features: tuple[FittedFeature, ...]
    intercept: float
    slope: float
    offset: float
    adapters: tuple[KnownAdapter, ...]
    regularisation: float
    versions: Mapping[str, str]
    circumstances: tuple[Circumstances, ...] = (Circumstances(),)

    @property
    def clean_scores(self) -> tuple[float, ...]:
        """Scores of the clean training adapters, each out of fold."""
        return tuple(item.score for item in self.adapters if item.label == "clean")

    @property
    def poisoned_scores(self) -> tuple[float, ...]:
        """The same of the poisoned ones."""
        return tuple(item.score for item in self.adapters if item.label == "poisoned")


def shipped_calibrations() -> tuple[Calibration, ...]:
    """Those that come with the package, by file name."""
    folder = resources.files("signatures").joinpath("calibration")
    if not folder.is_dir():
        return ()
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".json")), key=lambda item: item.name)
    return tuple(read_calibration(file) for file in files)


def read_calibration(file: Path | Traversable) -> Calibration:
    """Reads a calibration as data that may have been tampered with.

    Raises:
        BadCalibration: not JSON of this schema, too large, a number that is not finite, or an adapter twice.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise BadCalibration(f"{file}: larger than {_MAX_BYTES:,} bytes; no calibration is")
        return _parse(json.loads(content, object_pairs_hook=_without_duplicates, parse_constant=_refuse))
    except OSError as error:
        raise BadCalibration(
            f"{file}: cannot be read ({error.strerror}); give a file of scan-train calibrate"
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise BadCalibration(
            f"{file}: not a calibration ({one_line(error)}); refit it with scan-train calibrate"
        ) from error


def as_json(calibration: Calibration) -> str:
    """The file's content, the same for the same calibration."""
    document = {
        "schema": SCHEMA,
        "base": calibration.base,
        "fingerprint": calibration.fingerprint,
        "condition": calibration.condition,
        "extractor": calibration.extractor,
        "features": [vars(item) for item in calibration.features],
        "intercept": calibration.intercept,
        "slope": calibration.slope,
        "offset": calibration.offset,
        "regularisation": calibration.regularisation,
        "versions": dict(sorted(calibration.versions.items())),
        "circumstances": [vars(item) | {"references": list(item.references)} for item in calibration.circumstances],
        "adapters": [vars(item) | {"standardised": list(item.standardised)} for item in calibration.adapters],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _parse(document: Any) -> Calibration:
    _require_keys(document, _KEYS, "the file")
    if document["schema"] != SCHEMA:
        raise ValueError(f"schema {document['schema']!r}, not {SCHEMA}")
    if document["condition"] not in get_args(Condition):
        raise ValueError(f"condition {document['condition']!r}")
    features = tuple(_feature(item) for item in _list(document["features"]))
    if not features or len({item.name for item in features}) < len(features):
        raise ValueError("features: none, or one twice")
    adapters = tuple(_adapter(item, len(features)) for item in _list(document["adapters"]))
    if {item.label for item in adapters} != {"clean", "poisoned"}:
        raise ValueError("adapters: clean and poisoned ones are needed")
    for names in ({item.id for item in adapters}, {item.weights_sha256 for item in adapters}):
        if len(names) < len(adapters):
            raise ValueError("adapters: one stands there twice")
    slope, circumstances = _number(document["slope"]), _list(document["circumstances"])
    if slope < 0 or not circumstances:
        raise ValueError("a slope below 0, or no circumstances")
    return Calibration(
        base=_text(document["base"]),
        fingerprint=_text(document["fingerprint"]),
        condition=document["condition"],
        extractor=_whole(document["extractor"]),
        features=features,
        intercept=_number(document["intercept"]),
        slope=slope,
        offset=_number(document["offset"]),
        adapters=adapters,
        regularisation=_number(document["regularisation"]),
        versions={_text(name): _text(version) for name, version in document["versions"].items()},
        circumstances=tuple(_circumstances(item) for item in circumstances),
    )


def _circumstances(item: Any) -> Circumstances:
    _require_keys(item, _CIRCUMSTANCE_KEYS, "circumstances")
    texts = {name: _text(item[name]) for name in _CIRCUMSTANCE_KEYS - {"references"}}
    return Circumstances(**texts, references=tuple(_text(reference) for reference in _list(item["references"])))


def _feature(item: Any) -> FittedFeature:
    _require_keys(item, _FEATURE_KEYS, "a feature")
    scale = _number(item["scale"])
    if scale <= 0:
        raise ValueError(f"scale {scale}")
    share = _number(item["share"])
    if not 0 <= share <= 1:
        raise ValueError(f"share {share}")
    return FittedFeature(_text(item["name"]), _number(item["mean"]), scale, share, _number(item["weight"]))


def _adapter(item: Any, n_features: int) -> KnownAdapter:
    _require_keys(item, _ADAPTER_KEYS, "an adapter")
    standardised = tuple(None if value is None else _number(value) for value in _list(item["standardised"]))
    score = _number(item["score"])
    if item["label"] not in ("clean", "poisoned") or len(standardised) != n_features or not 0 <= score <= 1:
        raise ValueError("an adapter's label, features or score")
    if not isinstance(item["in_view"], bool):
        raise TypeError("in_view: true or false was expected")
    return KnownAdapter(
        _text(item["id"]),
        item["label"],
        _text(item["family"]),
        _text(item["recipe"]),
        _text(item["weights_sha256"]),
        score,
        standardised,
        item["in_view"],
    )


def _require_keys(item: Any, keys: set[str], what: str) -> None:
    if not isinstance(item, dict) or set(item) != keys:
        raise ValueError(f"{what} needs exactly the keys {', '.join(sorted(keys))}")


def _list(value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise TypeError("a list was expected")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a text was expected")
    value.encode()  # half of a surrogate pair can be written in JSON, and printed nowhere
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a whole number was expected")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= LARGEST:
        raise TypeError(f"a number of at most {LARGEST:g} was expected")
    return float(value)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")
