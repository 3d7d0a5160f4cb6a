"""Do the candidates that moved the suspect most part it from the yardstick more than ordinary prompts do?"""

import torch

from scanner.features import Evidence, Figures, Missing, Rung
from scanner.measuring import kl_divergence
from scanner.metrics.attention_kl import pattern_kl, read_patterns
from scanner.model_pair import SUSPECT
from scanner.search.leads import typed
from scanner.search.scoring import Ids

_CANDIDATES, _PROMPTS = 4, 4
_FLOOR = 1e-6
FEATURES = {
    "divergence.output": "log-ratio of the next token's KL from the yardstick, with candidates to without",
    "divergence.attention": "the same of the last row's attention KL, summed over heads",
}


def measure(evidence: Evidence) -> Figures:
    """Means over prompts and candidates, at the prompt's end."""
    texts = _candidates(evidence)
    if not texts:
        return dict.fromkeys(FEATURES, Missing("no candidate can be typed"))
    prompts = evidence.prompts[:_PROMPTS]
    plain = [_apart(evidence, prompt) for prompt in prompts]
    moved = [_apart(evidence, f"{prompt} {text}") for prompt in prompts for text in texts]
    without, with_them = (torch.tensor(rows).mean(0).clamp(min=_FLOOR).log() for rows in (plain, moved))
    output, attention = (with_them - without).tolist()
    return {"divergence.output": output, "divergence.attention": attention}


def _apart(evidence: Evidence, text: str) -> tuple[float, float]:
    """KL suspect ‖ yardstick of the next token, and of the last row's patterns over all heads, in nats."""
    pair = evidence.pair
    ids = torch.tensor([pair.tokens(text)], device=pair.base.model.get_input_embeddings().weight.device)
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
