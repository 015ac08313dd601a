"""The curves of a prediction: efficiency with the bottleneck of each size, and shares of a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hpcgan.scaling.draw import COLOURS, GREY, new_figure, number_ranks, png
from hpcgan.scaling.predict import Prediction


def picture(predictions: Sequence[Prediction]) -> bytes:
    """Return the curves as a PNG file, a line of two for each prediction.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    with new_figure(11.5, 4.2 * len(predictions)) as figure:
        grid = figure.subplots(len(predictions), 2, squeeze=False)
        for (curve, shares), prediction in zip(grid, predictions, strict=True):
            _draw_curve(curve, prediction)
            _draw_shares(shares, prediction)
        return png(figure)


def _draw_curve(axes: Any, prediction: Prediction) -> None:
    """Draw efficiency over ranks; the colour of a point tells its bottleneck."""
    rows = prediction.rows
    ranks = [row.ranks for row in rows]
    axes.axhline(100, color=GREY, linestyle="--", linewidth=1)
    axes.plot(ranks, [100 * row.efficiency for row in rows], color=GREY)
    for name in dict.fromkeys(row.step.bottleneck for row in rows):
        own = [row for row in rows if row.step.bottleneck == name]
        places, heights = [row.ranks for row in own], [100 * row.efficiency for row in own]
        axes.plot(places, heights, "o", color=COLOURS[name], label=f"foretold; bottleneck: {name}")
    for place, (size, efficiency) in enumerate(prediction.measured):
        label = None if place else "measured"
        axes.plot(size, 100 * efficiency, "kx", markersize=7, label=label)
    number_ranks(axes, sorted({*ranks, *(size for size, _ in prediction.measured)}))
    axes.set(ylim=(0, 115), ylabel="efficiency (%)")
    axes.set_title(f"{prediction.kind.capitalize()} scaling: foretold efficiency")
    axes.legend(loc="lower left", frameon=True, framealpha=1.0, edgecolor="none")


def _draw_shares(axes: Any, prediction: Prediction) -> None:
    """Draw the parts of a step that take time as shares of it."""
    rows = prediction.rows
    names = [name for name in vars(rows[0].step) if any(getattr(row.step, name) for row in rows)]
    shares = [[100 * getattr(row.step, name) / row.step.total for row in rows] for name in names]
    ranks = [row.ranks for row in rows]
    colours = [COLOURS[name] for name in names]
    axes.stackplot(ranks, shares, labels=names, colors=colours)
    number_ranks(axes, ranks)
    axes.set(ylim=(0, 100), ylabel="share of a step (%)")
    axes.set_title(f"{prediction.kind.capitalize()} scaling: where a step's time goes")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), reverse=True)
