"""The curves of a study and of a prediction, as PNG files."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpcgan import packages
from hpcgan.errors import ConfigError
from hpcgan.scaling.runs import counted
from hpcgan.scaling.summary import Comparison, Row, by_kind

if TYPE_CHECKING:
    from hpcgan.scaling.predict import Prediction
    from hpcgan.scaling.quality_summary import Summary

_STYLE = Path(__file__).parent / "templates" / "curves.mplstyle"
# Labels and colours of the parts of a step.
_PARTS = {
    "compute": ("compute", "C0"),
    "input": ("waiting for input", "#F0E442"),
    "waiting": ("waiting for the slowest rank", "C5"),
    "stragglers": ("stragglers", "C5"),
    "exchange": ("exchange", "C1"),
}
_MARKERS = "os^Dv"
_REFERENCE: Any = {"color": "#777777", "linestyle": "--", "linewidth": 1}
# Distances that differ by more than this factor get a logarithmic axis; less has few numbers there.
_LOGARITHMIC = 5
# Numbers of ranks below an axis, at most: more would run into one another.
_MOST_TICKS = 10


def study(rows: Sequence[Row]) -> bytes:
    """Return the curves of a study: three for each kind, and two below if it has training runs."""
    kinds = by_kind(rows).values()
    number = len(kinds) + sum(own[0].quality is not None for own in kinds)
    out = io.BytesIO()
    with lines_of_curves(13, number, out) as lines:
        for own in kinds:
            line, kind = next(lines), own[0].kind.capitalize()
            line.suptitle(f"{kind} scaling")
            for axes, draw in zip(
                line.subplots(1, 3), (_speed_up, _efficiency, _parts), strict=True
            ):
                draw(axes, own)
            if own[0].quality:
                line = next(lines)
                line.suptitle(f"{kind} scaling: quality")
                by_images, by_time = line.subplots(1, 2)
                # Legends stand where curves that fall leave room.
                _quality(by_images, own[0].quality, "images", "lower left")
                _quality(by_time, own[0].quality, "seconds", "upper right")
    return out.getvalue()


def prediction(predictions: Sequence[Prediction]) -> bytes:
    """Return the curves of predictions, two for each."""
    out = io.BytesIO()
    with lines_of_curves(11.5, len(predictions), out) as lines:
        for line, each in zip(lines, predictions, strict=True):
            line.suptitle(f"{each.kind.capitalize()} scaling, predicted")
            curve, shares = line.subplots(1, 2)
            _predicted_efficiency(curve, each)
            _shares(shares, each)
    return out.getvalue()


def quality_study(found: Summary) -> bytes:
    """Return the curves of a quality study, and how much sooner more shards reach its target."""
    out = io.BytesIO()
    with lines_of_curves(11.5, 1, out) as lines:
        curves, sooner = next(lines).subplots(1, 2)
        for place, row in enumerate(found.rows):
            for curve in row.curves:
                style: Any = {"color": f"C{place}", "linewidth": 1}
                if curve is row.curves[0]:
                    style["label"] = f"{row.shards}: {row.rule}" if row.shards > 1 else "1 shard"
                after = curve.points[1:]
                curves.plot([p.images for p in after], [p.frechet for p in after], **style)
        curves.axhline(found.target, label="target", **_REFERENCE)
        curves.axhline(found.floor, label="real data", **_REFERENCE | {"linestyle": ":"})
        curves.set(title="Fréchet distance by images", xlabel="images", xscale="log", yscale="log")
        curves.legend(loc="lower left")
        shards = [row.shards for row in found.rows]
        sooner.plot(shards, shards, label="ideal", **_REFERENCE)
        ratios = [row.steps for row in found.rows]
        middle = [each.value for each in ratios]
        low = [each.value - (each.low or each.value) for each in ratios]
        high = [(each.high or each.value) - each.value for each in ratios]
        sooner.errorbar(shards, middle, [low, high], fmt="C0o-", capsize=3, label="measured")
        for name, colour in (("D", "C1"), ("G", "C2")):
            known = [(row.shards, row.predicted[name]) for row in found.rows if row.predicted]
            label = f"by the noise scale of {name}"
            sooner.plot(*zip(*known, strict=True), f"{colour}--", label=label) if known else None
        sooner.set_yscale("log", base=2)
        _number_ranks(sooner, shards)
        sooner.set(title="target reached sooner, in steps", xlabel="shards")
        sooner.set_yticks(shards, shards)
        sooner.legend(loc="upper left")
    return out.getvalue()


@contextmanager
def lines_of_curves(width: float, number: int, out: io.BytesIO) -> Iterator[Iterator[Any]]:
    """Give the lines of a figure, ``width`` inches wide; then write it as a PNG file.

    Raises:
        ConfigError: matplotlib cannot be imported.
    """
    wrong = packages.problem("matplotlib")
    if wrong:
        raise ConfigError(f"curves need matplotlib, which {wrong}: pip install 'hpcgan[plots]'")
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(fname=_STYLE):
        figure = Figure(figsize=(width, 4.5 * number), layout="constrained")
        yield iter(figure.subfigures(number, 1, squeeze=False)[:, 0])
        figure.savefig(out, format="png", dpi=200)


def _speed_up(axes: Any, rows: Sequence[Row]) -> None:
    """Draw speed-up beside the ideal."""
    ranks = sorted({row.ranks for row in rows})
    axes.plot(ranks, ranks, label="ideal", **_REFERENCE)
    values = [*ranks, *_draw_estimates(axes, rows, "speed_up", "C0o-", "measured")]
    axes.set_yscale("log", base=2)
    _number_ranks(axes, ranks)
    axes.set_yticks(ranks, ranks)
    axes.minorticks_off()
    axes.set(title="speed-up", ylim=(min(values) / 1.2, max(values) * 1.2))
    axes.legend(loc="upper left")


def _efficiency(axes: Any, rows: Sequence[Row]) -> None:
    """Draw both efficiencies, a little beside one another, so that their error bars show."""
    axes.axhline(1, **_REFERENCE)
    label = f"against {counted(rows[0].reference)}"
    values = _draw_estimates(axes, rows, "efficiency", "C0o-", label, 0.98)
    label = "against the no-communication baseline"
    values += _draw_estimates(axes, rows, "baseline_efficiency", "C1s-", label, 1.02)
    _number_ranks(axes, sorted({row.ranks for row in rows}))
    # By the medians: bars of few starts may be longer than the axis.
    _show_percent(axes, "efficiency", max(1.15, 1.1 * max(values)))
    axes.legend(loc="lower left")


def _parts(axes: Any, rows: Sequence[Row]) -> None:
    """Draw the parts of a step, one on the other; bars are named by ranks, or ranks and nodes."""
    recur = len({row.ranks for row in rows}) < len(rows)
    names = [f"{row.ranks} on {row.nodes} nodes" if recur else str(row.ranks) for row in rows]
    bottoms = [0.0] * len(rows)
    for part in rows[0].parts:
        heights = [row.parts[part] for row in rows]
        axes.bar(names, heights, 0.6, bottoms, label=_PARTS[part][0], color=_PARTS[part][1])
        bottoms = [low + high for low, high in zip(bottoms, heights, strict=True)]
    axes.grid(False, axis="x")
    axes.set(title="time of a step (ms)", xlabel="ranks", ylim=(0, 1.6 * max(bottoms)))
    axes.legend(loc="upper left", reverse=True)


def _quality(axes: Any, quality: Comparison, axis: str, corner: str) -> None:
    """Draw the Fréchet distances of each number of ranks over ``images`` or ``seconds``."""
    distances = []
    for place, (ranks, runs) in enumerate(quality.curves.items()):
        # Curves that lie on each other, as those of a strong study do, still show.
        number = place % len(_MARKERS)
        style: Any = {"ms": 10 - 1.5 * number, "markerfacecolor": "none", "color": f"C{place}"}
        for run in runs:
            heights = [point.frechet for point in run.points]
            style["label"] = counted(ranks) if run is runs[0] else None
            places = [getattr(point, axis) for point in run.points]
            axes.plot(places, heights, marker=_MARKERS[number], **style)
            distances += heights
    axes.axvline(getattr(quality, axis), label="compared here", **_REFERENCE)
    axes.set(title=f"Fréchet distance by {axis} of training", xlabel=axis)
    scale_distances(axes, distances)
    axes.legend(loc=corner)


def scale_distances(axes: Any, distances: Sequence[float]) -> None:
    """Give distances that differ much a logarithmic axis."""
    if max(distances) > _LOGARITHMIC * min(distances):
        from matplotlib.ticker import LogLocator

        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()


def _predicted_efficiency(axes: Any, found: Prediction) -> None:
    """Draw efficiency over ranks; the colour of a point shows its bottleneck."""
    curve = {row.ranks: row.efficiency for row in found.rows}
    axes.axhline(1, **_REFERENCE)
    axes.plot(list(curve), list(curve.values()), color=_REFERENCE["color"])
    for name in dict.fromkeys(row.step.bottleneck for row in found.rows):
        own = [row.ranks for row in found.rows if row.step.bottleneck == name]
        label = f"predicted; bottleneck: {name}"
        axes.plot(own, [curve[each] for each in own], "o", color=_PARTS[name][1], label=label)
    measured = [size for size, _ in found.measured]
    if measured:
        axes.plot(measured, [each for _, each in found.measured], "kx", ms=7, label="measured")
    _number_ranks(axes, sorted({*curve, *measured}))
    _show_percent(axes, "efficiency", 1.15)
    axes.legend(loc="lower left")


def _shares(axes: Any, found: Prediction) -> None:
    """Draw the parts of a step that take time as shares of it."""
    steps, ranks = [row.step for row in found.rows], [row.ranks for row in found.rows]
    names = [name for name in vars(steps[0]) if any(getattr(step, name) for step in steps)]
    shares = [[getattr(step, name) / step.total for step in steps] for name in names]
    axes.stackplot(ranks, shares, labels=names, colors=[_PARTS[name][1] for name in names])
    _number_ranks(axes, ranks)
    _show_percent(axes, "share of a step", 1)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), reverse=True)


def _draw_estimates(
    axes: Any, rows: Sequence[Row], name: str, style: str, label: str, shift: float = 1.0
) -> list[float]:
    """Draw a line with error bars, of points that are hollow if there were more ranks than cores.

    ``shift`` is a factor of the ranks. Returns the heights.
    """
    values = [row.estimates[name] for row in rows]
    ranks, middle = [shift * row.ranks for row in rows], [each.value for each in values]
    low = [max(0.0, each.value - (each.low or each.value)) for each in values]
    high = [max(0.0, (each.high or each.value) - each.value) for each in values]
    axes.errorbar(ranks, middle, [low, high], fmt=style, label=label, capsize=3, elinewidth=1.2)
    for row, place, height in zip(rows, ranks, middle, strict=True):
        if row.oversubscribed:
            axes.plot(place, height, style.rstrip("-"), markerfacecolor="white", zorder=3)
    return middle


def _number_ranks(axes: Any, ranks: Sequence[int]) -> None:
    """Number the axis of ranks by those in ``ranks``, ascending; by some where they are many."""
    shown = ranks[:: math.ceil(len(ranks) / _MOST_TICKS)]
    axes.set_xscale("log", base=2)
    axes.set_xticks(shown, shown)
    axes.minorticks_off()
    axes.set(xlim=(ranks[0] / 1.2, ranks[-1] * 1.2), xlabel="ranks")


def _show_percent(axes: Any, title: str, top: float) -> None:
    """Show ratios from 0 to ``top`` as percent."""
    axes.set(title=f"{title} (%)", ylim=(0, top))
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}")
