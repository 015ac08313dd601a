"""Are the showers that a GAN makes like those it learned from? Profiles, energies and a plot.

    python -m hpcgan.metrics.calorimeter RUN_DIR --real showers.h5 [--plot showers.png]

For showers with the particle's energy as label (``hpcgan-data calorimeter``): the mean energy in
each layer along the axis (longitudinal) and in each ring around it (radial), generated against
real, and how well the total energy of a generated shower follows the energy that was asked for.
The plot needs matplotlib (the extra ``plots``).
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpcgan import command, packages
from hpcgan.checkpoint import Checkpoint
from hpcgan.errors import ConfigError
from hpcgan.files import writing
from hpcgan.generate import sample
from hpcgan.metrics.inputs import newest_checkpoint, read_labelled
from hpcgan.world import World

_SHOWERS = 5000
# Layers and rings with a smaller share of the energy are not compared.
_SHARE = 0.02


@dataclass(frozen=True)
class Profiles:
    """Mean energies of showers, in the units of their cells.

    Attributes:
        longitudinal: in each layer along the first axis, (D,).
        radial: in each ring around the axis; ring n holds the cells of a layer whose distance
            from its middle rounds to n cells.
    """

    longitudinal: np.ndarray
    radial: np.ndarray


def profiles(showers: np.ndarray) -> Profiles:
    """Return the mean profiles of showers (N, D, H, W, C)."""
    mean = showers.mean(axis=0, dtype=np.float64).sum(axis=-1)
    height, width = mean.shape[1:]
    y, x = (np.arange(size) - (size - 1) / 2 for size in (height, width))
    rings = np.rint(np.hypot(y[:, np.newaxis], x)).astype(int)
    radial = np.bincount(rings.ravel(), weights=mean.sum(axis=0).ravel())
    return Profiles(mean.sum(axis=(1, 2)), radial)


def largest_deviation(generated: np.ndarray, real: np.ndarray) -> float:
    """Return the largest |generated / real - 1| where ``real`` has more than 2% of its sum."""
    counts = real > _SHARE * real.sum()
    return float(np.abs(generated[counts] / real[counts] - 1).max())


def correlation(showers: np.ndarray, energies: np.ndarray) -> float:
    """Return the correlation of the showers' total energies with those of their labels."""
    totals = showers.sum(axis=tuple(range(1, showers.ndim)), dtype=np.float64)
    return float(np.corrcoef(totals, energies)[0, 1])


def main() -> int:
    """Print the figures of a run and return the exit status."""
    return command.run("hpcgan.metrics.calorimeter", _parse)


def _parse() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = command.Parser("python -m hpcgan.metrics.calorimeter")
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--real", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    parser.set_defaults(run=_report)
    return parser.parse_args()


def _report(world: World, arguments: argparse.Namespace) -> None:
    """Print what the newest checkpoint's showers are like."""
    found = newest_checkpoint(world, arguments.run_dir)
    world.together(lambda: _check_energies(found))
    data = found.config.data
    real = read_labelled(world, arguments.real, data.images, str(data.labels), found)
    drawn = sample(world, found, _SHOWERS, seed=1)
    if drawn is None:
        return
    showers, energies = drawn
    assert energies is not None
    _print(found.step, (showers, energies), real, arguments.plot)


def _check_energies(found: Checkpoint) -> None:
    """Refuse a checkpoint of another kind of run."""
    if found.config.model.condition != "regression":
        raise ConfigError(f"{found.path}: its showers have no energies (model.condition)")


def _print(
    step: int,
    drawn: tuple[np.ndarray, np.ndarray],
    data: tuple[np.ndarray, np.ndarray],
    plot: Path | None,
) -> None:
    """Print the figures of generated and real showers, each with their energies."""
    (showers, energies), (real_showers, real_energies) = drawn, data
    generated, real = profiles(showers), profiles(real_showers)
    pairs = {
        "longitudinal": (generated.longitudinal, real.longitudinal),
        "radial": (generated.radial, real.radial),
    }
    print(f"{_SHOWERS} showers after {step} steps, against {len(real_showers)} real ones")
    for name, (ours, theirs) in pairs.items():
        deviation = largest_deviation(ours, theirs)
        print(f"{name} profile: at most {deviation:.1%} off where more than {_SHARE:.0%} lies")
    print(
        f"total energy and the energy asked for: correlation "
        f"{correlation(showers, energies):.4f} (real showers: "
        f"{correlation(real_showers, real_energies):.4f})"
    )
    if plot:
        totals = [each.sum(axis=(1, 2, 3, 4)) for each in (showers, real_showers)]
        _draw(plot, pairs, [(energies, totals[0]), (real_energies, totals[1])])


def _draw(
    out: Path,
    pairs: dict[str, tuple[np.ndarray, np.ndarray]],
    energies: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    """Draw the profiles and the energies."""
    wrong = packages.problem("matplotlib")
    if wrong:
        raise ConfigError(f"--plot: matplotlib {wrong}: pip install 'hpcgan[plots]'")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    *of_profiles, of_energies = figure.subplots(1, 3)
    for axes, (name, (generated, real)) in zip(of_profiles, pairs.items(), strict=True):
        axes.step(range(len(real)), real, where="mid", label="real", color="black")
        axes.plot(range(len(generated)), generated, "o", label="generated")
        axes.set(title=f"{name} profile", xlabel={"radial": "ring"}.get(name, "layer"))
        axes.set(ylabel="mean energy")
        axes.legend()
    for (asked, total), name in zip(energies, ("generated", "real"), strict=True):
        of_energies.plot(asked[:1000], total[:1000], ".", markersize=3, label=name)
    of_energies.set(title="total energy", xlabel="energy of the particle", ylabel="in all cells")
    of_energies.legend()
    with writing(out):
        figure.savefig(out)


if __name__ == "__main__":
    sys.exit(main())
