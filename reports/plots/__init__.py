"""Pictures of measurements, drawn by Altair (Vega-Lite) as inline SVG: no script, no network.

One file a kind of picture, chosen by the axes of a measurement; `figures` finds the one that fits.
"""

from collections.abc import Callable, Sequence

from reports.plots import bars, curves, grids, pictures, spectra, strips
from reports.plots.figure import Figure
from scanner.types import Measurement

_Draw = Callable[[Sequence[Measurement]], list[Figure]]
_BY_AXES: dict[tuple[str, ...], _Draw] = {
    ("layer", "head"): grids.draw,
    ("prompt", "token"): strips.draw,
    ("query", "key"): pictures.draw,
    ("order", "count"): curves.draw,
    ("part", "layer"): bars.draw,
    ("module", "singular value"): spectra.draw,
}


def figures(measurements: Sequence[Measurement]) -> list[Figure]:
    """The figures of one metric's measurements, in their order; those that are missing have none.

    Raises:
        ValueError: a measurement has axes that nothing here can draw.
    """
    found: list[Figure] = []
    for axes in dict.fromkeys(item.axes for item in measurements if item.values is not None):
        if axes not in _BY_AXES:
            raise ValueError(f"reports/plots/ has no picture for the axes {axes}")
        found += _BY_AXES[axes]([item for item in measurements if item.axes == axes and item.values is not None])
    return found
