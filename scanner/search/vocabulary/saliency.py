"""How hard does each token of the vocabulary excite an adapter? A shortlist, not an answer.

Every token is read once by the base, behind a user's request. In every adapted module, with h the input and W the
base's weight,

    excitation = log ( ‖ΔW·h‖ / ‖W·h‖ )

is turned into a z-score over the vocabulary. Two rankings are made of it and interleaved, since neither finds every
trigger: the mean of z over the suspect's modules minus the clean references' mean over theirs (what any adapter reacts
to says nothing), and, in every fifth place, the mean of the `TOP_MODULES` highest z of the suspect alone (a trigger may
excite few modules).
"""

from collections.abc import Sequence
from itertools import islice

import torch

from scanner.intake import Adapter
from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.search.vocabulary.vocabulary_pass import VocabularyPass

# This number was chosen on the development set by benchmarks/choices/saliency.py, which also prints both rankings'; the
# shares were set by hand on adapters of sets 4 and 5.
TOP_MODULES = 16
_OF_DIFFERENCE, _OF_HIGHEST = 4, 1
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
    alone = torch.stack(list(own.values()))
    references = [z_scores(found, other, pair.adapters[other], tryable) for other in others]
    usual = [torch.stack(list(z.values())).mean(0) for z in references if z]
    difference = alone.mean(0) - (torch.stack(usual).mean(0) if usual else 0.0)
    highest = alone.topk(min(TOP_MODULES, len(alone)), dim=0).values
    return _interleaved([(difference, _OF_DIFFERENCE), (highest.mean(0), _OF_HIGHEST)], tryable)


def z_scores(found: VocabularyPass, name: str, adapter: Adapter, tryable: torch.Tensor) -> dict[str, torch.Tensor]:
    """Module -> z of the log excitation over the tryable vocabulary, float32 [vocabulary]."""
    scores = {}
    for update in adapter.updates:
        if update.module not in found.norms:
            continue
        ratio = log_ratio(found.excitations[name][update.module], found.norms[update.module])
        usual = ratio[tryable]
        scores[update.module] = (ratio - usual.mean()) / usual.std().clamp(min=_FLOOR)
    return scores


def log_ratio(excited: torch.Tensor, usual: torch.Tensor) -> torch.Tensor:
    """log ( ‖ΔW·h‖ / ‖W·h‖ ), of any shape."""
    return (excited + _FLOOR).log() - (usual + _FLOOR).log()


def _interleaved(scores: Sequence[tuple[torch.Tensor, int]], tryable: torch.Tensor) -> tuple[int, ...]:
    """Token ids by the rankings of all scores, each with its number of places in a turn; each id once."""
    rankings = [
        iter(score.masked_fill(~tryable, float("-inf")).argsort(descending=True, stable=True).tolist())
        for score, _ in scores
    ]
    order: dict[int, None] = {}
    while len(order) < len(tryable):
        for ranking, (_, places) in zip(rankings, scores, strict=True):
            order |= dict.fromkeys(islice(ranking, places))
    return tuple(token for token in order if tryable[token])
