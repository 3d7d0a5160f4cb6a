"""Does the behaviour follow this very string? A control: random strings of the same kind must not fire."""

import random

from scanner.models.model_pair import SUSPECT
from scanner.search.behaviour import Behaviour
from scanner.search.controls.asking import Asking, judged_rate
from scanner.search.ground import Ground
from scanner.search.leads import typed
from scanner.types import Control, TriggerFinding

RANDOM_STRINGS = "random strings"
_STRINGS = 12
_PROMPTS_EACH = 3


def random_strings(asking: Asking, ground: Ground | None, finding: TriggerFinding, behaviour: Behaviour) -> Control:
    """Strings of as many random tokens, in the trigger's place."""
    if ground is None:
        return Control(RANDOM_STRINGS, None, None, "", "no vocabulary was prepared, since nothing was searched for")
    rng = random.Random(f"random-strings-{asking.seed}")
    tokens = [int(token) for token in ground.tryable.nonzero().flatten()]
    strings: list[str] = []
    while len(strings) < _STRINGS:
        text = typed(asking.pair, tuple(rng.sample(tokens, max(1, len(finding.token_ids)))))
        if text:
            strings.append(text)
    texts = [
        text
        for index, string in enumerate(strings)
        for text in asking.placed(string, finding, asking.prompts[index % 3 :: 3][:_PROMPTS_EACH])
    ]
    rate = asking.rate(SUSPECT, texts, behaviour)
    return judged_rate(RANDOM_STRINGS, rate, finding, f"{_STRINGS} strings of {len(finding.token_ids)} random tokens")
