"""The curves of a study: speed-up, efficiency, where a step's time goes, and samples' quality."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hpcgan import packages
from hpcgan.errors import ConfigError
from hpcgan.scaling.quality import Compared
from hpcgan.scaling.runs import counted
from hpcgan.scaling.summary import Estimate, Row

# Okabe and Ito's colours, which people who see fewer colours can tell apart.
_BLUE, _RED, GREY = "#0072B2", "#D55E00", "#777777"
_RANKS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = "os^Dv"
# Distances that differ by more than this factor get a logarithmic axis; less has few numbers there.
_LOGARITHMIC = 5
# Of the parts of a step.
COLOURS = {
    "compute": _BLUE,
    "stragglers": "#E69F00",
    "exchange": _RED,
    "input": "#F0E442",
    "checkpoint": "#CC79A7",
}
_PARTS = {
    "compute": ("compute", COLOURS["compute"]),
    "input": ("waiting for input", COLOURS["input"]),
    "waiting": ("waiting for the slowest rank", COLOURS["stragglers"]),
    "exchange": ("exchange", COLOURS["exchange"]),
}
# Numbers of ranks below an axis, at most: more would run into one another.
_MOST_TICKS = 10
_STYLE: Any = {
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.markersize": 5,
    "figure.constrained_layout.h_pad": 0.12,
    "figure.constrained_layout.w_pad": 0.1,
    "legend.frameon": False,
    "legend.fontsize": 10,
}


def picture(rows: Sequence[Row]) -> bytes:
    """Return the curves as a PNG file.

    A line of three for each kind, and below it one of two if it has training runs.

    Raises:
        ConfigError: matplotlib cannot be imported.
    """
    kinds = list(dict.fromkeys(row.kind for row in rows))
    by_kind = [[row for row in rows if row.kind == kind] for kind in kinds]
    number = len(kinds) + sum(each[0].quality is not None for each in by_kind)
    with new_figure(13, 4.2 * number) as figure:
        lines = iter(figure.subfigures(number, 1, squeeze=False)[:, 0])
        for of_kind in by_kind:
            speed_up, efficiency, split = next(lines).subplots(1, 3)
            _draw_speed_up(speed_up, of_kind)
            _draw_efficiency(efficiency, of_kind)
            _draw_split(split, of_kind)
            if of_kind[0].quality:
                _draw_quality(next(lines).subplots(1, 2), of_kind, of_kind[0].quality)
        return png(figure)


@contextmanager
def new_figure(width: float, height: float) -> Iterator[Any]:
    """Give a figure of so many inches, in the style of all pictures of a study.

    Raises:
        ConfigError: matplotlib cannot be imported.
    """
    wrong = packages.problem("matplotlib")
    if wrong:
        raise ConfigError(f"curves need matplotlib, which {wrong}: pip install 'hpcgan[plots]'")
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        yield Figure(figsize=(width, height), layout="constrained")


def png(figure: Any) -> bytes:
    """Return a figure as a PNG file."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=200)
    return out.getvalue()


def number_ranks(axes: Any, ranks: Sequence[int]) -> None:
    """Number the axis of ranks by those in ``ranks``, ascending; by some where they are many."""
    shown = ranks[:: math.ceil(len(ranks) / _MOST_TICKS)]
    axes.set_xscale("log", base=2)
    axes.set_xticks(shown, [str(each) for each in shown])
    axes.minorticks_off()
    axes.set_xlim(ranks[0] / 1.2, ranks[-1] * 1.2)
    axes.set_xlabel("ranks")


def _draw_speed_up(axes: Any, rows: Sequence[Row]) -> None:
    """Draw images a second, in those of the smallest number of ranks, beside the ideal."""
    ranks = sorted({row.ranks for row in rows})
    axes.plot(ranks, ranks, "--", color=GREY, label="ideal")
    _draw_estimates(axes, rows, lambda row: row.speed_up, _BLUE, "o-", "measured")
    axes.set_yscale("log", base=2)
    number_ranks(axes, ranks)
    axes.set_yticks(ranks, [str(each) for each in ranks])
    axes.minorticks_off()
    values = [*ranks, *(row.speed_up.value for row in rows)]
    axes.set_ylim(min(values) / 1.2, max(values) * 1.2)
    axes.set(ylabel="speed-up", title=_title(rows, "speed-up"))
    axes.legend(loc="upper left")


def _draw_efficiency(axes: Any, rows: Sequence[Row]) -> None:
    """Draw both efficiencies, in percent."""
    base = f"against {counted(rows[0].base[0].ranks)}"
    axes.axhline(100, color=GREY, linestyle="--", linewidth=1)
    _draw_estimates(axes, rows, lambda row: row.efficiency.scaled(100), _BLUE, "o-", base, 0.98)
    limit = "against the same ranks without exchange"
    _draw_estimates(
        axes, rows, lambda row: row.limit_efficiency.scaled(100), _RED, "s-", limit, 1.02
    )
    number_ranks(axes, sorted({row.ranks for row in rows}))
    # By the medians: bars of few and odd starts may be as long as they like.
    values = [each.value for row in rows for each in (row.efficiency, row.limit_efficiency)]
    axes.set_ylim(0, max(115.0, 110 * max(values)))
    axes.set(ylabel="efficiency (%)", title=_title(rows, "efficiency"))
    axes.legend(loc="lower left")


def _draw_split(axes: Any, rows: Sequence[Row]) -> None:
    """Draw the parts of a step, one on the other."""
    bottoms = [0.0] * len(rows)
    places = range(len(rows))
    for name, (label, colour) in _PARTS.items():
        heights = [1e3 * row.split[name] for row in rows]
        axes.bar(places, heights, 0.6, bottoms, label=label, color=colour)
        bottoms = [low + high for low, high in zip(bottoms, heights, strict=True)]
    axes.set_xticks(places, [_name(row, rows) for row in rows])
    axes.grid(False, axis="x")
    axes.set_ylim(0, 1.45 * max(bottoms))
    axes.set(xlabel="ranks", ylabel="time of a step (ms)")
    axes.set_title(_title(rows, "where the time goes"))
    axes.legend(loc="upper left", reverse=True, ncols=1)


def _draw_quality(both: Any, rows: Sequence[Row], quality: Compared) -> None:
    """Draw the Fréchet distance of each number of ranks, over images and over time."""
    from matplotlib.ticker import LogLocator

    by_images, by_time = both
    for place, (ranks, found) in enumerate(quality.curves.items()):
        # Curves that lie on each other, as those of a strong study do, still show.
        style: Any = {
            "color": _RANKS[place % len(_RANKS)],
            "marker": _MARKERS[place % len(_MARKERS)],
            "markersize": 10 - 1.5 * (place % len(_MARKERS)),
            "markerfacecolor": "none",
        }
        for run in found:
            heights = [mark.frechet for mark in run.marks]
            label = counted(ranks) if run is found[0] else None
            by_images.plot([mark.images for mark in run.marks], heights, label=label, **style)
            by_time.plot([mark.seconds for mark in run.marks], heights, label=label, **style)
    by_images.set(xlabel="images", title=_title(rows, "quality at equal images"))
    by_time.set(xlabel="seconds of training", title=_title(rows, "quality at equal time"))
    runs = [run for found in quality.curves.values() for run in found]
    distances = [mark.frechet for run in runs for mark in run.marks]
    # Legends stand where curves that fall leave room.
    ends = ((by_images, quality.images, "lower left"), (by_time, quality.seconds, "upper right"))
    for axes, end, corner in ends:
        axes.axvline(end, color=GREY, linestyle="--", linewidth=1, label="compared here")
        axes.set(ylabel="Fréchet distance")
        if max(distances) > _LOGARITHMIC * min(distances):
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.minorticks_off()
        axes.legend(loc=corner, frameon=True, framealpha=1.0, edgecolor="none")


def _draw_estimates(
    axes: Any,
    rows: Sequence[Row],
    value: Callable[[Row], Estimate],
    colour: str,
    style: str,
    label: str,
    shift: float = 1.0,
) -> None:
    """Draw a line with error bars; points with more ranks than cores are hollow.

    ``shift`` is a factor of the ranks, by which bars of two lines stand beside one another.
    """
    ranks, found = [shift * row.ranks for row in rows], [value(row) for row in rows]
    low = [each.value - min(each.value, each.low or each.value) for each in found]
    high = [max(each.value, each.high or each.value) - each.value for each in found]
    middle = [each.value for each in found]
    axes.errorbar(ranks, middle, [low, high], fmt="none", color=colour, capsize=3, linewidth=1.2)
    axes.plot(ranks, middle, style, color=colour, label=label)
    for row, place, height in zip(rows, ranks, middle, strict=True):
        if row.oversubscribed:
            axes.plot(place, height, style[0], color=colour, markerfacecolor="white")


def _title(rows: Sequence[Row], what: str) -> str:
    """Return the title of a picture."""
    return f"{rows[0].kind.capitalize()} scaling: {what}"


def _name(row: Row, rows: Sequence[Row]) -> str:
    """Return the name of a bar, with the nodes where the same ranks had several numbers of them."""
    several = sum(each.ranks == row.ranks for each in rows) > 1
    return f"{row.ranks} on {row.nodes} nodes" if several else str(row.ranks)
