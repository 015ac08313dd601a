"""``hpcgan scale predict DIR``: the model, fitted to a study's points, on other sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import geometric_mean

from hpcgan.errors import ConfigError
from hpcgan.files import write_whole, writing
from hpcgan.gan.scaling_rule import steps_factor
from hpcgan.scaling import draw
from hpcgan.scaling.fit import Point, fit, read_points
from hpcgan.scaling.model import Model, Step
from hpcgan.scaling.runs import Run, read_runs
from hpcgan.scaling.table import aligned

_HEADINGS = "ranks nodes samples compute stragglers exchange step samples/s efficiency"
# Where the noise of the gradients is known: steps to one quality, of one rank's, and how much
# sooner they are made.
_BY_NOISE = "steps sooner"


@dataclass(frozen=True)
class Row:
    """What is predicted for one number of ranks."""

    ranks: int
    nodes: int  # that they fill
    samples: float  # of a rank's batch
    images: float  # of a step
    step: Step
    # Weak: the time that a step computes, divided by its whole time; strong: the speed-up over one
    # rank, divided by the ranks.
    efficiency: float
    steps: float | None = None  # to the same quality, as a part of one rank's
    sooner: float | None = None  # than one rank these are made


@dataclass(frozen=True)
class Prediction:
    """A weak curve (each rank keeps its batch) or a strong one (all ranks share one)."""

    kind: str
    rows: list[Row]
    measured: list[tuple[int, float]]  # ranks and efficiency of the points that lie on this curve


def write(
    directory: Path, sizes: Sequence[int], out: Path, link: tuple[float, float] | None
) -> None:
    """Print what is predicted for each kind that the study has; write predict.txt and .png.

    Args:
        directory: of a study that has a report.
        sizes: numbers of ranks; strong scaling leaves out those above its global batch.
        out: the directory for the files.
        link: latency in seconds and bytes per second between nodes; None for what was measured.

    Raises:
        ConfigError: there is no report, or the model cannot be fitted to its points.
        RunError: a file cannot be written.
    """
    points = read_points(directory / "points.json")
    fitted = fit(points)
    model = fitted.model
    if link:
        model = replace(model, between_latency=link[0], between_bandwidth=link[1])
    every = list(read_runs(directory).values())
    runs, scale = {run.kind: run for run in every}, noise_scale(every)
    found = []
    if "weak" in runs:
        found.append(weak(model, points, sizes, runs["weak"].samples, scale))
    if "strong" in runs:
        batch = runs["strong"].images
        possible = [size for size in sizes if model.samples_of(batch, size) >= 1]
        if len(possible) < len(sizes):
            most = int(batch / model.batch_share)
            print(f"strong scaling: at most {most} ranks can share a batch of {batch} samples")
        if len({point.samples for point in points}) == 1:
            raise ConfigError(
                "all points had one batch per rank, which does not show how long a smaller one "
                "takes; measure more numbers of ranks with hpcgan scale strong"
            )
        if possible:
            found.append(strong(model, points, possible, batch))
    if not found:
        raise ConfigError(f"--sizes: give numbers of ranks up to {batch}")
    largest = max((row for each in found for row in each.rows), key=lambda row: row.nodes)
    if largest.nodes > 1 and not link and all(point.nodes == 1 for point in points):
        raise ConfigError(
            f"{largest.ranks} ranks fill {largest.nodes} nodes and all points were measured on "
            "one; measure on several, or give the link between nodes (--link)"
        )
    values = ", ".join(f"{name} {value:.3g}" for name, value in fitted.unknowns.items())
    worst = max(map(abs, fitted.errors))
    title = f"fitted to {len(points)} points, largest error {worst:.1%}: {values}"
    if scale is not None:
        title += (
            f"; gradient noise scale {scale:.3g} images, by which the steps to one quality are "
            "predicted: a hint, which hpcgan scale quality tests"
        )
    lines = "\n\n".join([title, *map(text, found)])
    print(lines)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "predict.txt", f"{lines}\n".encode())
    try:
        write_whole(out / "predict.png", draw.prediction(found))
    except ConfigError as error:  # there is no matplotlib
        print(f"no curves: {error}")
    print(f"written to {out}: predict.txt and, with matplotlib, predict.png")


def noise_scale(runs: Sequence[Run]) -> float | None:
    """Return the noise scale of a weak study's runs, in images: the smaller of D's and G's.

    The network with the smaller one has less of a larger batch, and both are needed. Each is the
    geometric mean of the runs that know theirs; None where none does.
    """
    found = []
    for name in ("noise_scale_d", "noise_scale_g"):
        known = [scale for run in runs if run.kind == "weak" and (scale := getattr(run, name))]
        if known:
            found.append(geometric_mean(known))
    return min(found, default=None)


def weak(
    model: Model,
    points: Sequence[Point],
    sizes: Sequence[int],
    batch: int,
    scale: float | None = None,
) -> Prediction:
    """Return steps on other numbers of ranks with ``batch`` samples each.

    With the noise ``scale`` of the gradients, in images, also how many of them lead to the same
    quality (``steps_factor``).
    """
    rows = [_row(replace(model, samples=batch), size) for size in sizes]
    if scale is not None:
        one = _row(replace(model, samples=batch), 1)
        factors = [steps_factor(scale, one.images, row.images) for row in rows]
        rows = [
            replace(row, steps=steps, sooner=one.step.total / (steps * row.step.total))
            for row, steps in zip(rows, factors, strict=True)
        ]
    own = [point for point in points if point.samples == batch]
    measured = [(point.ranks, point.limit_seconds / point.step_seconds) for point in own]
    return Prediction("weak", rows, measured)


def strong(model: Model, points: Sequence[Point], sizes: Sequence[int], batch: int) -> Prediction:
    """Return steps on other numbers of ranks, at most ``batch``, that share ``batch`` samples.

    Where one rank cannot train alone, as in split, the fewest that share nothing stand for it.
    """
    alone = replace(model, samples=batch).compute
    shared = {size: model.samples_of(batch, size) for size in sizes}
    rows = [
        _row(replace(model, samples=own), size, alone * own / batch) for size, own in shared.items()
    ]
    own = [point for point in points if point.images(point.ranks, point.samples) == batch]
    measured = [(each.ranks, alone * each.samples / batch / each.step_seconds) for each in own]
    return Prediction("strong", rows, measured)


def _row(model: Model, ranks: int, ideal: float | None = None) -> Row:
    """Return a row; ``ideal`` is the step of efficiency 1, by default that computes alone."""
    step = model.step(ranks)
    efficiency = (step.compute if ideal is None else ideal) / step.total
    images = model.images(ranks, model.samples)
    return Row(ranks, model.nodes(ranks), model.samples, images, step, efficiency)


def text(prediction: Prediction) -> str:
    """Return a table: a line for each number of ranks, with the parts of a step in milliseconds."""
    by_noise = all(row.steps is not None for row in prediction.rows)
    headings = _HEADINGS.split() + (_BY_NOISE.split() if by_noise else [])
    lines = [[*headings, "bottleneck"]]
    for row in prediction.rows:
        times = [*vars(row.step).values(), row.step.total]
        cells = [str(row.ranks), str(row.nodes), f"{row.samples:.4g}"]
        cells += [f"{1e3 * seconds:.2f}" for seconds in times]
        cells += [f"{row.images / row.step.total:.4g}", f"{row.efficiency:.1%}"]
        cells += [f"{row.steps:.3f}", f"{row.sooner:.2f}"] if by_noise else []
        lines.append([*cells, row.step.bottleneck])
    return "\n".join([f"{prediction.kind} scaling, milliseconds per step:", *aligned(lines)])
