"""Are the samples' values what a generator can make? Its tanh gives [-1, 1], whatever it learns."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hpcgan.config import Config
from hpcgan.data.source import Source
from hpcgan.world import World

# The smallest and the largest value; (inf, -inf) of none.
Span = tuple[float, float]
# Up to this magnitude values count as within [-1, 1]: a few lie a bit outside after most scalings.
_MOST = 1.5


def of(samples: np.ndarray) -> Span:
    """Return the range of samples; that of uint8, which are scaled, is always within [-1, 1]."""
    if samples.dtype == np.uint8 or not samples.size:
        return np.inf, -np.inf
    return float(samples.min()), float(samples.max())


def joined(spans: Iterable[Span]) -> Span:
    """Return the range of all values of some ranges."""
    low, high = np.inf, -np.inf
    for begin, end in spans:
        low, high = min(low, begin), max(high, end)
    return low, high


def warn(world: World, config: Config, source: Source, span: Span, what: str) -> None:
    """Print, once, that values are far beyond what a generator's tanh gives. A collective.

    Args:
        world: the ranks.
        config: of the run.
        source: the data.
        span: of the values that this rank has seen.
        what: they are of, in words.
    """
    if not _ends_in_tanh(config) or source.dtype == "uint8":
        return
    low, high = joined(map(tuple, world.gather_json(list(span))))
    if world.is_root and max(-low, high) > _MOST:
        print(
            f"hpcgan: warning: {source.files[0]}: the values of {what} are from {low:g} to "
            f"{high:g}, and the generator ends in tanh, which gives -1 to 1: map them with "
            "hpcgan-data convert --values minmax (or log10, symlog, scale; docs/data.md)",
            flush=True,
        )


def _ends_in_tanh(config: Config) -> bool:
    """Return whether the generator is one of ours but for showers, which are any positive value."""
    return config.model.generator is None and config.model.condition != "regression"
