"""Singular values of ΔW = s·B·A in every adapted module, without building ΔW.

    B = Q_b R_b,  Aᵀ = Q_a R_a   (thin QR)   ⇒   σ(ΔW) = |s| · σ(R_b R_aᵀ)

The orthonormal factors leave singular values alone, and R_b R_aᵀ is only rank × rank. A function of ΔW, so that
(B·R, R⁻¹·A) gives the same numbers: an attacker cannot dodge it by rescaling. Axes: (module, singular value), largest
first, dimensionless; `labels` holds each module's name.
"""

import torch

from scanner.intake import LowRankUpdate
from scanner.measuring import MetricInputs, to_tuple
from scanner.metrics import Metric
from scanner.types import Measurement


def singular_values(update: LowRankUpdate) -> torch.Tensor:
    """The singular values of ΔW, largest first, float64 [min(rank, in_features, out_features)]."""
    r_b = torch.linalg.qr(update.b.double(), mode="r").R
    r_a = torch.linalg.qr(update.a.double().T, mode="r").R
    return torch.linalg.svdvals(r_b @ r_a.T) * abs(update.scaling)


def measure(inputs: MetricInputs) -> list[Measurement]:
    """Spectra of the suspect and of every reference, a measurement each."""
    found = []
    for name, adapter in inputs.pair.adapters.items():
        found.append(
            Measurement(
                METRIC.name,
                name,
                unit=METRIC.unit,
                axes=("module", "singular value"),
                values=tuple(to_tuple(singular_values(update)) for update in adapter.updates),
                labels=tuple((update.module,) for update in adapter.updates),
            )
        )
    inputs.advance(1)
    return found


METRIC = Metric(
    "spectra",
    "Singular values of ΔW",
    "1",
    number="W",
    reading=(
        "Normal: suspect and reference of one recipe have curves of like size. A size or shape of its own "
        "is a difference in training, not yet a backdoor: honest adapters differ in it as well."
    ),
    measure=measure,
)
