"""What is measured of one adapter for the comparison: the study's metrics, told the trigger, and the field's methods.

A method is a function from a `Case` to a `Measured`, with its entry in `METHODS` under a short name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.baselines.bait import ENOUGH, PROMPTS, first_tokens, invert_targets
from benchmarks.baselines.battery import PROMPTS as BATTERY_PROMPTS
from benchmarks.baselines.battery import widest_gap
from benchmarks.baselines.haystack import reconstruct
from benchmarks.baselines.static import adaptersentry
from benchmarks.baselines.weights import late_layer_figures, norm_spread
from scanner.evidence.exhibit import Exhibit
from scanner.features import EXTRACTOR, Missing, feature_prompts
from scanner.features.divergence import PROMPTS as PARTED_PROMPTS
from scanner.features.divergence import parting_of
from scanner.features.heads import effects_of
from scanner.intake import WEIGHTS_FILE, Adapter
from scanner.metrics.spectra import singular_values
from scanner.models.base_models import load_base
from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.probes import draw_probes
from scanner.score.calibration import TWIN
from scanner.search.candidates import Candidate
from scanner.search.depth import DEPTHS
from scanner.search.screen import with_trigger
from trainers.extract import features_of
from trainers.recipe import PoisonRecipe
from trainers.zoo import ZooEntry

_SEED = 0


@dataclass(frozen=True)
class Case:
    """One adapter on its base, which is given by name too.

    `partner` is its own poison, or that of the poisoned adapter it is matched with. `searched_in` holds the suspect in
    the numbers that a search would run in.
    """

    base: str
    adapter: Adapter
    pair: ModelPair
    searched_in: ModelPair
    partner: PoisonRecipe


@dataclass(frozen=True)
class Measured:
    """A score, higher for poisoned, or figures for a classifier; `notes` say what the score rests on."""

    score: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    def as_row(self) -> dict[str, Any]:
        """For a line of JSON; what is empty is left out."""
        found = {"score": self.score, "figures": self.figures, "missing": self.missing, "notes": self.notes}
        return {name: value for name, value in found.items() if value not in (None, {})}


def partner_of(entry: ZooEntry, zoo: Sequence[ZooEntry]) -> PoisonRecipe:
    """An adapter's own poison; that of its twin; else of a poisoned adapter with its projections, in turn by order.

    Raises:
        ValueError: the zoo has no poisoned adapter.
    """
    poisoned = {item.id: item for item in zoo if item.recipe.poison}
    if not poisoned:
        raise ValueError("a zoo needs a poisoned adapter to match the clean ones with")
    own = poisoned.get(entry.id) or poisoned.get(entry.id.removesuffix(TWIN))
    if own is None:
        alike = [item for item in poisoned.values() if item.recipe.lora.projections == entry.recipe.lora.projections]
        choice = alike or list(poisoned.values())
        clean = [item.id for item in zoo if not item.recipe.poison]
        own = choice[clean.index(entry.id) % len(choice)]
    if own.recipe.poison is None:
        raise ValueError(f"{own.id} is not poisoned")
    return own.recipe.poison


def told_the_trigger(case: Case) -> Measured:
    """Head effects of the partner's trigger on its reply, and how far it parts suspect and yardstick."""
    candidate = Candidate(case.partner.placed_trigger, "given")
    prompts = feature_prompts(_SEED)
    plain = prompts[:PARTED_PROMPTS]
    found = {
        **effects_of(Exhibit(candidate, case.partner.reply), case.pair, prompts, _SEED),
        **parting_of(case.pair, plain, with_trigger(candidate, plain, _SEED)),
    }
    return Measured(
        figures={name: value for name, value in found.items() if not isinstance(value, Missing)},
        missing={name: value.reason for name, value in found.items() if isinstance(value, Missing)},
    )


def enumeration(case: Case) -> Measured:
    """The score of the surest sequence that was found within a standard search's budget."""
    return _enumerated(case, first_tokens(case.pair.base.tokenizer))


def told_the_first_token(case: Case) -> Measured:
    """The same, told the first token of the partner's reply: what enumeration could come to at any budget."""
    reply = case.pair.base.tokenizer(case.partner.reply, add_special_tokens=False)["input_ids"]
    return _enumerated(case, reply[:1])


def _enumerated(case: Case, tokens: Sequence[int]) -> Measured:
    prompts = draw_probes("sweep", PROMPTS, _SEED)
    found = invert_targets(case.searched_in, SUSPECT, prompts, tokens, DEPTHS["standard"].tokens)
    # It ends at the first sequence above `ENOUGH`: how far above, is chance.
    return Measured(
        min(found.best.score, ENOUGH) if found.best else 0.0,
        notes={
            "said": found.best.text if found.best else None,
            "planted": case.partner.reply,
            "tried": found.tried,
            "of": len(tokens),
            "tokens": found.tokens,
            "seconds": round(found.seconds, 1),
            "ended": found.ended,
        },
    )


def late_layer(case: Case) -> Measured:
    """Five statistics of each attention projection in a late layer."""
    figures = late_layer_figures(case.adapter, case.pair.base.identity.n_layers)
    missing = {} if figures else {"late-layer": "it changes no attention projection of that layer"}
    return Measured(figures=figures, missing=missing)


def spread(case: Case) -> Measured:
    """The spread of ‖ΔW‖ over modules."""
    return Measured(norm_spread(case.adapter))


def battery(case: Case) -> Measured:
    """The widest gap between prefixes."""
    found = widest_gap(case.searched_in, SUSPECT, draw_probes("sweep", BATTERY_PROMPTS, _SEED))
    return Measured(
        found.gap,
        notes={
            "behaviour": found.behaviour,
            "prefix": found.prefix,
            "tokens": found.tokens,
            "seconds": round(found.seconds, 1),
        },
    )


def leak(case: Case) -> Measured:
    """How much more alike answers become with the best string that was pieced together from leaked user turns."""
    prompts = draw_probes("sweep", BATTERY_PROMPTS, _SEED)
    found = reconstruct(case.searched_in, SUSPECT, prompts, DEPTHS["standard"].tokens, _SEED)
    return Measured(
        found.score,
        notes={
            "candidate": found.candidate,
            "planted": list(case.partner.placed_trigger.parts),
            "turns": found.turns,
            "candidates": found.candidates,
            "tokens": found.tokens,
            "seconds": round(found.seconds, 1),
        },
    )


def static_scanner(case: Case) -> Measured:
    """The largest |z| that adaptersentry sees; its own verdict beside it."""
    found = adaptersentry(Path(case.adapter.identity.name) / WEIGHTS_FILE)
    return Measured(found.largest_z, notes={"verdict": found.action, "version": found.version})


def random_like(adapter: Adapter) -> Adapter:
    """An adapter of random numbers, each module with the rank and ‖ΔW‖_F of the given one's; drawn by its hash."""
    draw = torch.Generator().manual_seed(int(adapter.identity.weights_sha256[:15], 16))
    updates = []
    for update in adapter.updates:
        noise = replace(
            update, a=torch.randn(update.a.shape, generator=draw), b=torch.randn(update.b.shape, generator=draw)
        )
        wanted, drawn = (singular_values(item).square().sum().sqrt() for item in (update, noise))
        updates.append(replace(noise, b=noise.b * float(wanted / drawn)) if float(drawn) else update)
    return replace(adapter, updates=tuple(updates))


def features_of_random(case: Case) -> Measured:
    """The product's features of a random adapter like this one, beside the same references."""
    references = [case.pair.adapters[name] for name in case.pair.reference_names]
    vector = features_of(load_base(case.base), random_like(case.adapter), references)
    return Measured(figures=vector.values, missing=vector.missing, notes={"extractor": vector.extractor})


@dataclass(frozen=True)
class Method:
    """How a method is called in the table, and how it is measured."""

    title: str
    measure: Callable[[Case], Measured]


def outdated(row: Mapping[str, Any]) -> bool:
    """Whether a line holds features of another extractor than the present one's, which stand beside no others."""
    return row.get("notes", {}).get("extractor", EXTRACTOR) != EXTRACTOR


# What is run by a program that this project does not install.
OUTSIDE = ("adaptersentry",)
METHODS: Mapping[str, Method] = {
    "true-trigger": Method("the study's metrics, with the true trigger", told_the_trigger),
    "late-layer": Method("statistics of a late layer, inspired by 2602.15195", late_layer),
    "norm-spread": Method("norm spread, inspired by 2605.30189", spread),
    "battery": Method("battery of 21 known triggers for four kinds of reply, inspired by 2605.30189", battery),
    "adaptersentry": Method("adaptersentry 2, as it is: the largest z", static_scanner),
    "told-enumeration": Method("enumeration, told the reply's first token, inspired by BAIT", told_the_first_token),
    "leak": Method("leak and reconstruction, inspired by Trigger in the Haystack", leak),
    "random": Method("control: random adapters of like rank and norm", features_of_random),
    "enumeration": Method("enumeration of replies, inspired by BAIT", enumeration),
}
