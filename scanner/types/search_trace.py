"""How the search for an unknown trigger went."""

from dataclasses import dataclass

VOCABULARY_RUNG = "base pass"
# What comes after the search, on top of its budget: a string that it found is verified and held against controls.
JUDGING_RUNGS = ("verification", "controls")


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

    @property
    def judging_tokens(self) -> int:
        """What verification and controls took of `tokens`."""
        return sum(rung.tokens for rung in self.rungs if rung.name in JUDGING_RUNGS)

    @property
    def spent(self) -> str:
        """In words, for every report: only what was sought with counts against the budget."""
        sought = f"{self.tokens - self.judging_tokens:,} tokens of about {self.budget:,}"
        judged = (
            f", and {self.judging_tokens:,} more to verify and control what it found" if self.judging_tokens else ""
        )
        return sought + judged
