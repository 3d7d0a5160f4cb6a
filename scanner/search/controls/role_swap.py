"""Is a clean adapter as easily brought to the reply? A control: the same search, at the same breadth, in a reference.

An optimised string can make any small model say anything; where a reference is as easily brought to it, the string
shows nothing.
"""

from dataclasses import dataclass, field

from scanner.models.model_pair import BASE
from scanner.search.behaviour import Behaviour
from scanner.search.controls.asking import Asking, judged_rate
from scanner.search.depth import Depth
from scanner.search.elicitation.targets import TARGET_TOKENS, Target
from scanner.search.ground import Ground
from scanner.search.inversion.growth import same_search
from scanner.search.leads import typed
from scanner.search.meter import Meter
from scanner.search.requested import is_requested
from scanner.types import Control, TriggerFinding

ROLE_SWAP = "role swap"
_SWAP_STRINGS = 4
_PROMPTS = 12


@dataclass(frozen=True)
class SwappedSearch:
    """The plan of a search, to be carried out in references: its depth, and how many rounds of growth it took.

    What is found for a reply in a reference is kept, since several findings may have one reply.
    """

    ground: Ground
    depth: Depth
    rounds: int
    _found: dict[tuple[str, Target], tuple[str, ...]] = field(default_factory=dict)

    def strings(self, name: str, target: Target, meter: Meter) -> tuple[str, ...]:
        """The best strings for a reply that the search finds in a reference, as text that a person can type."""
        if (name, target) not in self._found:
            pair = self.ground.pair
            swept, grown = same_search(pair, name, self.ground, self.depth, self.rounds, target, meter)
            strings = [typed(pair, item.token_ids) for item in grown]
            strings += [typed(pair, candidate) for candidate in swept.best_for(0, _SWAP_STRINGS)]
            self._found[name, target] = tuple(text for text in dict.fromkeys(strings) if text)[:_SWAP_STRINGS]
        return self._found[name, target]


def role_swap(asking: Asking, search: SwappedSearch | None, finding: TriggerFinding, behaviour: Behaviour) -> Control:
    """The search for the finding's reply in every reference; the reference most easily brought to it counts.

    A string that spells the reply, or makes the base give it too, would not have been verified and counts no more here.
    """
    pair, prompts = asking.pair, asking.prompts[:_PROMPTS]
    if not pair.reference_names:
        return Control(ROLE_SWAP, None, None, "", "no reference was given to swap roles with")
    if search is None:
        return Control(ROLE_SWAP, None, None, "", "nothing was searched for, so there is no search to repeat")
    ids = tuple(pair.base.tokenizer(finding.example_reply, add_special_tokens=False)["input_ids"])[:TARGET_TOKENS]
    target = Target(ids, finding.example_reply, 0.0)
    rates = []
    for name in pair.reference_names:
        for text in search.strings(name, target, asking.meter):
            if is_requested((text,), behaviour, finding.example_reply):
                continue
            texts = asking.placed(text, finding, prompts)
            rate = asking.rate(name, texts, behaviour)
            if not rate.successes or asking.rate(BASE, texts, behaviour).value < rate.value / 2:
                rates.append(rate)
    if not rates:
        return Control(
            ROLE_SWAP, None, None, "", "every string found there spells the reply, or moves the base as well"
        )
    best = max(rates, key=lambda rate: rate.value)
    what = f"the best of {len(rates)} strings found in {len(pair.reference_names)} references"
    return judged_rate(ROLE_SWAP, best, finding, what)
