"""The curves of a comparison, as a PNG file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from statistics import median
from typing import Any

from hpcgan.comparing.kept import Start
from hpcgan.comparing.summary import Common, is_whole
from hpcgan.scaling.draw import lines_of_curves, scale_distances

_COLOURS = 6  # of the style, after which lines are broken otherwise
_LINES = ("-", "--", ":")
_MARKERS = "os^Dv*"


def curves(starts: Mapping[str, Mapping[int, Start]], floor: float, common: Common) -> bytes:
    """Return Fréchet distance by rank-seconds and by images: medians of each way's starts.

    Raises:
        ConfigError: matplotlib cannot be imported.
    """
    out = io.BytesIO()
    with lines_of_curves(13, 1, out) as lines:
        by_cost, by_images = next(lines).subplots(1, 2)
        for axes, axis in ((by_cost, "rank_seconds"), (by_images, "images")):
            distances = [floor]
            for place, (name, own) in enumerate(starts.items()):
                whole = [start for start in own.values() if is_whole(start)]
                if whole:
                    distances += _draw(axes, axis, name, place, whole)
            axes.axhline(floor, color="#777777", linestyle="--", linewidth=1, label="floor")
            words = axis.replace("_", "-")
            axes.set(title=f"Fréchet distance by {words}", xlabel=words)
            scale_distances(axes, distances)
        by_cost.axvline(common.rank_seconds, color="#bbbbbb", linewidth=1)
        by_images.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return out.getvalue()


def _draw(axes: Any, axis: str, name: str, place: int, whole: list[Start]) -> list[float]:
    """Draw the medians of a way's starts at each point; return these distances."""
    points = list(zip(*(start.points for start in whole), strict=True))
    places = [median(getattr(point, axis) for point in own) for own in points]
    heights = [median(point.frechet or 0 for point in own) for own in points]
    axes.plot(
        places,
        heights,
        label=name,
        color=f"C{place % _COLOURS}",
        linestyle=_LINES[place // _COLOURS % len(_LINES)],
        marker=_MARKERS[place % len(_MARKERS)],
        markersize=4,
    )
    return heights
