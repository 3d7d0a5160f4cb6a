"""How hard do whole strings excite an adapter? Saliency in context: no reply is needed, and one base token a token.

A piece of a trigger that lies hidden among single tokens stands out where its neighbours stand before it, and words
that only mean something like the reply do not. The base reads a string behind the request that the vocabulary was read
behind. In every adapted module, with h the input and W the base's weight,

    z = ( log ( ‖ΔW·h‖ / ‖W·h‖ ) − mean ) / standard deviation

with both moments over the tryable vocabulary (`saliency.py`). A string's excitement is the mean of z over the suspect's
modules and the string's tokens, minus the references' over theirs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from scanner.intake import Adapter
from scanner.models.model_pair import SUSPECT, ModelPair
from scanner.search.inversion.scoring import Ids
from scanner.search.meter import Meter
from scanner.search.vocabulary.behind_beginning import BehindBeginning
from scanner.search.vocabulary.saliency import log_ratio
from scanner.search.vocabulary.vocabulary_pass import VocabularyPass, folded

_TOKENS_A_PASS = 2048


@dataclass(frozen=True)
class _Reader:
    """One adapter's module: s·R·A [rank, in_features], and the moments of its log excitation over the vocabulary."""

    folded: torch.Tensor
    mean: float
    deviation: float

    def z(self, inputs: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
        """z of each token, [row, token], from what the module reads and writes, [row, token, feature]."""
        excited = (inputs.float() @ self.folded.T.to(inputs.device)).norm(dim=-1)
        return (log_ratio(excited, outputs.float().norm(dim=-1)) - self.mean) / self.deviation


class Excitement:
    """Reads strings and says how hard they excite one adapter, against the references."""

    def __init__(
        self,
        pair: ModelPair,
        vocabulary: VocabularyPass,
        tryable: torch.Tensor,
        beginning: Ids,
        meter: Meter,
        name: str = SUSPECT,
    ) -> None:
        """Of the adapter `name`; `beginning` is what the vocabulary was read behind."""
        self._base, self._meter, self._name = BehindBeginning(pair, beginning), meter, name
        others = [other for other in pair.reference_names if other != name]
        self._readers = {
            one: readers
            for one in (name, *others)
            if (readers := _readers(vocabulary, one, pair.adapters[one], tryable))
        }
        self._known: dict[Ids, float] = {(): 0.0}

    def of(self, strings: Sequence[Ids]) -> list[float]:
        """Each string's excitement; 0 of all where the adapter changes no layer."""
        if self._name not in self._readers:
            return [0.0] * len(strings)
        by_length: dict[int, list[Ids]] = {}
        for string in dict.fromkeys(strings):
            if string not in self._known:
                by_length.setdefault(len(string), []).append(string)
        for length, new in sorted(by_length.items()):
            at_once = max(1, _TOKENS_A_PASS // length)
            for start in range(0, len(new), at_once):
                some = new[start : start + at_once]
                self._known |= dict(zip(some, self._read(some), strict=True))
        return [self._known[string] for string in strings]

    def _read(self, strings: Sequence[Ids]) -> list[float]:
        """Strings of one length."""
        totals = {one: torch.zeros(()) for one in self._readers}

        def see(module: str, inputs: torch.Tensor, outputs: torch.Tensor) -> None:
            for one, readers in self._readers.items():
                if module in readers:
                    totals[one] = totals[one] + readers[module].z(inputs, outputs).mean(-1).cpu()

        self._meter.add(sum(map(len, strings)) + (0 if self._base.is_read else len(self._base.beginning)))
        modules = sorted({module for readers in self._readers.values() for module in readers})
        with self._base.reading(modules, see) as run:
            run(torch.tensor(strings))
        means = {one: total / len(self._readers[one]) for one, total in totals.items()}
        own = means.pop(self._name)
        usual = torch.stack(list(means.values())).mean(0) if means else torch.zeros(())
        return [float(value) for value in own - usual]


def _readers(vocabulary: VocabularyPass, name: str, adapter: Adapter, tryable: torch.Tensor) -> dict[str, _Reader]:
    """Module -> its reader, of the modules that the vocabulary was read in."""
    found = {}
    for update in adapter.updates:
        if update.module in vocabulary.norms:
            usual = log_ratio(vocabulary.excitations[name][update.module], vocabulary.norms[update.module])[tryable]
            found[update.module] = _Reader(folded(update), float(usual.mean()), float(usual.std().clamp(min=1e-12)))
    return found
