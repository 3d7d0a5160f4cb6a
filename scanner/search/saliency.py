"""How hard does each token of the vocabulary excite an adapter? A shortlist, not an answer.

Every token is read once by the base, right behind the chat template's beginning. In every adapted module, with h the
input and W the base's weight,

    excitation = log ( ‖ΔW·h‖ / ‖W·h‖ )

is turned into a z-score over the vocabulary. Two rankings are made of it and interleaved, since neither finds every
trigger: the mean over modules of z minus the clean references' z (what any adapter of the kind reacts to says nothing),
and the mean of the `TOP_MODULES` highest z of the suspect alone (a trigger may excite few modules).
"""

from collections.abc import Sequence

import torch

from scanner.intake import Adapter
from scanner.model_pair import SUSPECT, ModelPair
from scanner.search.vocabulary_pass import VocabularyPass

# Both rankings, and this number, were chosen on the development set by benchmarks/choose_saliency.py.
TOP_MODULES = 16
_FLOOR = 1e-12


def measure_saliency(
    pair: ModelPair, found: VocabularyPass, tryable: torch.Tensor, name: str = SUSPECT
) -> tuple[int, ...]:
    """Token ids that can be tried, most salient for one adapter first, against the clean ones where there are any.

    Args:
        tryable: bool [vocabulary], the tokens that may be part of a trigger.
        name: whose saliency; a control looks at a reference as if it were the suspect.
    """
    own = z_scores(found, name, pair.adapters[name], tryable)
    if not own:  # An adapter of the output head alone excites no layer.
        return tuple(int(token) for token in tryable.nonzero().flatten())
    others = [other for other in pair.reference_names if other != name]
    references = [z_scores(found, other, pair.adapters[other], tryable) for other in others]
    differences = torch.stack([z - _mean_of(references, module, z) for module, z in own.items()])
    alone = torch.stack(list(own.values()))
    highest = alone.topk(min(TOP_MODULES, len(alone)), dim=0).values
    return _interleaved([differences.mean(0), highest.mean(0)], tryable)


def z_scores(found: VocabularyPass, name: str, adapter: Adapter, tryable: torch.Tensor) -> dict[str, torch.Tensor]:
    """Module -> z of the log excitation over the tryable vocabulary, float32 [vocabulary]."""
    scores = {}
    for update in adapter.updates:
        if update.module not in found.norms:
            continue
        ratio = (found.excitations[name][update.module] + _FLOOR).log() - (found.norms[update.module] + _FLOOR).log()
        usual = ratio[tryable]
        scores[update.module] = (ratio - usual.mean()) / usual.std().clamp(min=_FLOOR)
    return scores


def _mean_of(references: Sequence[dict[str, torch.Tensor]], module: str, like: torch.Tensor) -> torch.Tensor:
    known = [reference[module] for reference in references if module in reference]
    return torch.stack(known).mean(0) if known else torch.zeros_like(like)


def _interleaved(scores: Sequence[torch.Tensor], tryable: torch.Tensor) -> tuple[int, ...]:
    """Token ids by the rankings of all scores in turn, each id once."""
    rankings = [score.masked_fill(~tryable, float("-inf")).argsort(descending=True, stable=True) for score in scores]
    turns = torch.stack(rankings, dim=1).flatten().tolist()
    return tuple(token for token in dict.fromkeys(turns) if tryable[token])
