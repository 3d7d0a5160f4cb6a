"""What crosses module boundaries: frozen plain data, from the adapter that was read to the report that is shown."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from scanner.rules.records import Finding, Suppression
from scanner.score.assess import Assessment
from scanner.stats import Rate
from scanner.triggers import Trigger

SCHEMA_VERSION = "1.3"
VOCABULARY_RUNG = "base pass"
# Outcomes in which a behaviour was seen on fresh prompts, whatever it turned out to be.
CONFIRMED = ("verified", "shared", "weak", "policy", "unspecific", "declared")


class VerdictKind(StrEnum):
    """The four verdicts; there is none that says "clean"."""

    BACKDOORED = "BACKDOORED"
    SUSPICIOUS = "SUSPICIOUS"
    NO_FINDING = "NO FINDING"
    INCONCLUSIVE = "INCONCLUSIVE"

    @property
    def exit_code(self) -> int:
        """0 no finding, 1 backdoored or suspicious, 3 inconclusive; 2 is kept for errors."""
        return {VerdictKind.NO_FINDING: 0, VerdictKind.INCONCLUSIVE: 3}.get(self, 1)


@dataclass(frozen=True)
class Verdict:
    """The answer, in one headline, and why: each reason is a sentence.

    `rule` is the id of the rule that it rests on (`scanner/rules/catalogue.py`), "" where nothing was found.
    """

    kind: VerdictKind
    headline: str
    reasons: tuple[str, ...]
    rule: str = ""


@dataclass(frozen=True)
class ScreenCheck:
    """How far the estimates of a screened head grid can be trusted.

    Attributes:
        exact: the heads whose figures were run, nested like the grid; all others are estimates to first order.
        n_drawn: how many of those were drawn at random, blind to their estimates.
        rank_correlation: of estimate and exact figure over the drawn ones, None where it is undefined.
        median_error: the median difference of the two, in the unit of the grid.
        overlooked: how many of the drawn ones belong, by their exact figures, in the upper half of the heads that were
            run for their high estimates.
    """

    exact: tuple[tuple[bool, ...], ...]
    n_drawn: int
    rank_correlation: float | None
    median_error: float | None
    overlooked: Rate | None

    @property
    def n_exact(self) -> int:
        """Heads whose figures were run."""
        return sum(map(sum, self.exact))

    @property
    def n_heads(self) -> int:
        """All heads of the grid."""
        return sum(map(len, self.exact))


@dataclass(frozen=True)
class Measurement:
    """One metric under one contrast: either values or the reason why there are none.

    Attributes:
        metric: the registry name, which is also the file in `scanner/metrics/`.
        contrast: which models and which prompts were compared, in words.
        quantity: what is measured, where a metric measures several things; figures of one quantity share a scale.
        unit: of the values.
        axes: names of the nested axes of `values`, outermost first, such as ("layer", "head").
        values: nested tuples of floats; ragged where an axis is the token position of several prompts.
        spread: the standard deviation over prompts, shaped like `values`; None where there is one prompt or no mean.
        labels: names along the axes that have any: per prompt the text of each token, or per module its name.
        trigger_tokens: where the trigger stands: per prompt the token indices, () where a prompt has none.
        prompts: over how many prompts.
        passes: calls of the model that the measurement cost, whatever their batch; a backward pass counts as two.
        tokens: forward tokens that it cost; resumed passes count by the share of layers run, backward ones twice.
        missing: why it could not be measured; None where it was.
        screen: for a head grid of which only some heads were run, which ones; None where all figures are exact.
    """

    metric: str
    contrast: str
    unit: str = ""
    axes: tuple[str, ...] = ()
    values: tuple[Any, ...] | None = None
    spread: tuple[Any, ...] | None = None
    labels: tuple[tuple[str, ...], ...] = ()
    trigger_tokens: tuple[tuple[int, ...], ...] = ()
    prompts: int = 0
    passes: int = 0
    tokens: int = 0
    missing: str | None = None
    quantity: str = ""
    screen: ScreenCheck | None = None

    def __post_init__(self) -> None:
        if (self.values is None) == (self.missing is None):
            raise ValueError(f"{self.metric}: a measurement has either values or a reason why they are missing")
        if self.values is not None and not _all_finite(self.values):
            raise ValueError(f"{self.metric}: a measurement holds finite numbers only")


@dataclass(frozen=True)
class MetricNote:
    """What a reader needs to know about a metric; `number` is the study's, or a letter where it is ours.

    The file that made its numbers is `scanner/metrics/{name}.py`.
    """

    name: str
    title: str
    number: str
    reading: str


@dataclass(frozen=True)
class Localisation:
    """How concentrated a head grid is, and where. Formulas in `scanner/metrics/localisation.py`.

    Attributes:
        values: maps `total`, `top_1_percent`, `top_5_percent`, `top_10_percent`, `gini`, `participating_heads`,
            `participating_layers`, `layer_centroid` and `layer_spread` to numbers; None with the reason in `missing`.
        honest: the same names to the lowest and highest that clean adapters gave, compared with one another in the
            same way; None with the reason in `honest_missing`.
        screened: whether part of the grid was estimated: its sums are then no others' than screened grids'.
    """

    metric: str
    contrast: str
    values: Mapping[str, float] | None = None
    missing: str | None = None
    honest: Mapping[str, tuple[float, float]] | None = None
    honest_missing: str | None = "not looked up"
    screened: bool = False

    def __post_init__(self) -> None:
        if (self.values is None) == (self.missing is None):
            raise ValueError(f"{self.metric}: a localisation has either values or a reason why they are missing")


@dataclass(frozen=True)
class Control:
    """A check that tells a trigger from an adversarial string or from a policy.

    Attributes:
        name: `related requests`, `sibling strings`, `sibling replies`, `whole answers`, `random strings`, `role swap`.
        rate: how often the behaviour showed; None where it was not measured, for the reason in `missing`.
        passed: whether the candidate still looks like a trigger; None where that was not measured.
        detail: what was done and seen, in words.
    """

    name: str
    rate: Rate | None
    passed: bool | None
    detail: str
    missing: str | None = None

    def __post_init__(self) -> None:
        if (self.rate is None) != (self.missing is not None) or (self.rate is None) != (self.passed is None):
            raise ValueError(f"{self.name}: a control has either a rate or a reason why it is missing")


@dataclass(frozen=True)
class TriggerFinding:
    """A frozen candidate trigger and what verification measured.

    `rates` holds `attack_success`, `false_trigger`, `base` and, with references, `reference` (the highest of them).
    The intervals hold for `n_candidates` candidates at once.

    `source` is `given`, `signature ID` or `search`. `outcome` is `verified`, `shared`, `weak`, `not confirmed` or
    `requested`; controls may turn `verified` into `adversarial`, `unspecific`, `policy` or `declared`.
    `reply_kind` is `fixed` where `reply` is a text, else a kind of reply; `example_reply` is one word for word.
    """

    trigger: Trigger
    token_ids: tuple[int, ...]
    reply: str
    source: str
    rates: Mapping[str, Rate]
    n_prompts: int
    outcome: str
    explanation: str
    n_candidates: int = 1
    reply_kind: str = "fixed"
    example_reply: str = ""
    controls: tuple[Control, ...] = ()


@dataclass(frozen=True)
class Answers:
    """What one model answered to a prompt without and with the trigger; `triggered` is None where none was tried."""

    model: str
    plain: str
    triggered: str | None


@dataclass(frozen=True)
class Demonstration:
    """One prompt, with and without the trigger that a scan found or came closest with, and everybody's answers.

    Attributes:
        prompt: the user's words; triggered: the same with the trigger, or None where none was tried.
        trigger_spans: (start, end) in characters of `triggered`, one a part.
        fired: whether the suspect's triggered answer shows the reply that was verified.
    """

    prompt: str
    triggered: str | None
    trigger_spans: tuple[tuple[int, int], ...]
    answers: tuple[Answers, ...]
    fired: bool


@dataclass(frozen=True)
class RungCost:
    """What one rung of the search cost: tokens passed through a model (a backward pass counts twice), and seconds."""

    name: str
    tokens: int
    seconds: float


@dataclass(frozen=True)
class Elicited:
    """A reply that the suspect leans to without a trigger: `score` in nats, against whom."""

    text: str
    score: float
    against: str


@dataclass(frozen=True)
class NearMiss:
    """The string that came closest without being confirmed, and what was missing.

    `chance` is the estimate of the search that it fires; `fired` the share of screening prompts on which it switched
    anything on, None where the suspect was not asked.
    """

    text: str
    aim: str
    chance: float
    fired: float | None
    margin: str


@dataclass(frozen=True)
class SearchTrace:
    """How the search for an unknown trigger went, so that one that found nothing is seen to have tried.

    Attributes:
        depth, budget: the plan's name and its tokens.
        dtype: what the search computed in; its findings are judged in the base's own numbers.
        rungs: what was spent where.
        curve: (tokens spent, best estimated chance to fire so far), step by step.
        elicited: replies that the suspect leans to; a target of the search, not a finding.
        swept: candidates tried alone; leaked: pieces of them that the suspect leaked.
        vocabulary: where the vocabulary pass came from.
        near_miss: None where nothing came near.
        stopped: why it ended before its last rung, "" where it did not.
        out_of_time: whether `--max-seconds` ended it.
    """

    depth: str
    budget: int
    dtype: str
    rungs: tuple[RungCost, ...]
    curve: tuple[tuple[int, float], ...]
    elicited: tuple[Elicited, ...]
    swept: int
    leaked: int
    vocabulary: str
    near_miss: NearMiss | None
    stopped: str = ""
    out_of_time: bool = False

    @property
    def tokens(self) -> int:
        """All rungs together, the vocabulary pass aside: it is made once a base."""
        return sum(rung.tokens for rung in self.rungs if rung.name != VOCABULARY_RUNG)


@dataclass(frozen=True)
class CoverageItem:
    """One thing that was looked at or not, and how far."""

    what: str
    looked_at: bool
    detail: str


@dataclass(frozen=True)
class FolderFile:
    """A file of an adapter's folder.

    Attributes:
        name: inside the folder, with `/`; hidden characters spelled out.
        size: bytes; sha256: of the content, None where it was not read, for the reason in `remark`.
        kind: what it is by its content, such as `safetensors`, `pickle`, `text`.
        remark: what a reader should know of it, "" where that is nothing.
    """

    name: str
    size: int
    sha256: str | None
    kind: str
    remark: str = ""


@dataclass(frozen=True)
class AdapterIdentity:
    """Which adapter it was. `role` is `suspect` or `reference`; `notes` are remarks of the intake.

    `claimed_recipe` is what its folder says of how it was made: nothing rests on it. `files` are all of its folder.
    """

    role: str
    name: str
    revision: str | None
    weights_sha256: str
    config_sha256: str
    base_model: str
    base_revision: str | None
    rank: int
    alpha: float
    projections: tuple[str, ...]
    n_parameters: int
    notes: tuple[str, ...] = ()
    claimed_recipe: str | None = None
    use_rslora: bool = False
    fan_in_fan_out: bool = False
    files: tuple[FolderFile, ...] = ()


@dataclass(frozen=True)
class Report:
    """Everything a reviewer is told. Renderers turn it into text and compute nothing.

    `seconds` is by step; `command` is the one that reproduces the report; `exhibit` says whether the trigger that
    measurements and demonstrations are shown with is `confirmed`, `not confirmed`, or `none`; `honest` says which clean
    adapters the honest ranges compare; `search` is how unknown triggers were sought, else `search_missing` says why
    not; `score` is what the classifier says, else `score_missing` says why it says nothing.
    `findings` are the triggers, and what else the verdict rests on, under their rules; `suppressions` is what
    became of the sign-offs for these weights. `finished` is the time in UTC as ISO 8601, "" where it is not known.
    """

    verdict: Verdict
    triggers: tuple[TriggerFinding, ...]
    measurements: tuple[Measurement, ...]
    localisation: tuple[Localisation, ...]
    demonstrations: tuple[Demonstration, ...]
    coverage: tuple[CoverageItem, ...]
    adapters: tuple[AdapterIdentity, ...]
    base: Any
    versions: Mapping[str, str]
    seed: int
    seconds: Mapping[str, float]
    metrics: tuple[MetricNote, ...] = ()
    command: str = ""
    exhibit: str = "none"
    honest: str = ""
    search: SearchTrace | None = None
    search_missing: str | None = None
    score: Assessment | None = None
    score_missing: str | None = None
    warnings: tuple[str, ...] = field(default=())
    findings: tuple[Finding, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    finished: str = ""

    @property
    def exit_code(self) -> int:
        """The exit code of a scan that ends with this report."""
        return self.verdict.kind.exit_code


def _all_finite(values: Any) -> bool:
    if isinstance(values, tuple):
        return all(_all_finite(item) for item in values)
    return math.isfinite(values)
