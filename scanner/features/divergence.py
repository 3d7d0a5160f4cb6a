"""Do the candidates that moved the suspect most part it from the yardstick more than ordinary prompts do?"""

from collections.abc import Sequence

import torch

from scanner.features import Evidence, Figures, Missing, Rung
from scanner.measuring import kl_divergence
from scanner.metrics.attention_kl import pattern_kl, read_patterns
from scanner.models.devices import input_device
from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.search.inversion.scoring import Ids
from scanner.search.leads import typed

PROMPTS = 4
_CANDIDATES = 4
_FLOOR = 1e-6
FEATURES = {
    "divergence.output": "log-ratio of the next token's KL from the yardstick, with candidates to without",
    "divergence.attention": "the same of the last row's attention KL, summed over heads",
}


def measure(evidence: Evidence) -> Figures:
    """Of several candidates at the prompt's end."""
    texts = _candidates(evidence)
    if not texts:
        return dict.fromkeys(FEATURES, Missing("no candidate can be typed"))
    prompts = evidence.prompts[:PROMPTS]
    return parting_of(evidence.pair, prompts, [f"{prompt} {text}" for prompt in prompts for text in texts])


def parting_of(pair: ModelPair, plain: Sequence[str], moved: Sequence[str]) -> Figures:
    """How much further prompts that hold something part suspect and yardstick than plain ones; means over prompts."""
    without, with_them = (
        torch.tensor([_apart(pair, text) for text in texts]).mean(0).clamp(min=_FLOOR).log() for texts in (plain, moved)
    )
    output, attention = (with_them - without).tolist()
    return {"divergence.output": output, "divergence.attention": attention}


def _apart(pair: ModelPair, text: str) -> tuple[float, float]:
    """KL suspect ‖ yardstick of the next token, and of the last row's patterns over all heads, in nats."""
    ids = torch.tensor([pair.tokens(text)], device=input_device(pair.base.model))
    own, other = (read_patterns(pair, name, ids)[:, :, -1:] for name in (SUSPECT, pair.yardstick))
    logits = [pair.next_token_log_probs(name, [text]) for name in (SUSPECT, pair.yardstick)]
    return float(kl_divergence(*logits).sum()), float(pattern_kl(own, other).sum())


def _candidates(evidence: Evidence) -> list[str]:
    """Those that lifted the best target most, then those that shifted the first token most, as text."""
    swept, hunt = evidence.hunt.sweep, evidence.hunt
    if swept is None:
        return []
    lists: list[list[Ids]] = [swept.best_for(None, 2 * _CANDIDATES)]
    if hunt.targets:
        lists.insert(0, swept.best_for(int(swept.lifts.max(0).values.argmax()), 2 * _CANDIDATES))
    found: dict[str, None] = {}
    for candidates in lists:
        texts = [text for candidate in candidates if (text := typed(evidence.pair, candidate))]
        found |= dict.fromkeys(texts[:_CANDIDATES])
    return list(found)


RUNG = Rung("divergence", FEATURES, measure)
