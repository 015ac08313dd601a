"""Are the showers that a GAN makes like those it learned from? Profiles, energies and a plot.

    python -m hpcgan.metrics.calorimeter RUN_DIR --real showers.h5 [--plot showers.png]

For showers with the particle's energy as label (``hpcgan-data calorimeter``): the mean energy in
each layer along the axis (longitudinal) and in each ring around it (radial), generated against
real, and how well the total energy of a generated shower follows the energy of its label. Of labels
of several values the first is the energy. Showers that ``hpcgan-data convert --values`` mapped are
compared in the units of their source.
The plot needs matplotlib (the extra ``plots``).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpcgan import command, packages
from hpcgan.checkpoint import Checkpoint
from hpcgan.config import DataConfig
from hpcgan.data import values
from hpcgan.errors import ConfigError
from hpcgan.files import writing
from hpcgan.generate import Block, Wanted, blocks
from hpcgan.metrics.inputs import newest_checkpoint, open_samples, read_chunks
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


# Profiles, total energies and the energies of the labels, of the same showers.
_Measured = tuple[Profiles, np.ndarray, np.ndarray]


def measure(chunks: Iterable[np.ndarray]) -> tuple[Profiles, np.ndarray]:
    """Return the mean profiles of showers, and the total energy of each, (N,).

    Args:
        chunks: of the showers, (n, D, H, W, C) each, one at least.
    """
    summed, totals = np.float64(0), []
    for chunk in chunks:
        summed = summed + chunk.sum(axis=0, dtype=np.float64)
        totals.append(chunk.sum(axis=(1, 2, 3, 4), dtype=np.float64))
    energies = np.concatenate(totals)
    return _profiles(summed.sum(axis=-1) / len(energies)), energies


def _profiles(mean: np.ndarray) -> Profiles:
    """Return the profiles of a mean shower, (D, H, W)."""
    height, width = mean.shape[1:]
    y, x = (np.arange(size) - (size - 1) / 2 for size in (height, width))
    rings = np.rint(np.hypot(y[:, np.newaxis], x)).astype(int)
    radial = np.bincount(rings.ravel(), weights=mean.sum(axis=0).ravel())
    return Profiles(mean.sum(axis=(1, 2)), radial)


def largest_deviation(generated: np.ndarray, real: np.ndarray) -> float:
    """Return the largest |generated / real - 1| where ``real`` has more than 2% of its sum."""
    counts = real > _SHARE * real.sum()
    return float(np.abs(generated[counts] / real[counts] - 1).max())


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
    world.all_or_raise(lambda: _check_energies(found))
    data = found.config.data
    theirs = DataConfig([str(arguments.real)], images=data.images, labels=str(data.labels))
    source = open_samples(world, theirs, found)
    mapping = values.parse(source.values)
    real: list[_Measured] = []
    chunks = (values.inverse(mapping, chunk) for chunk in read_chunks(source))
    world.on_root(lambda: real.append((*measure(chunks), _energies(source.read_labels()))))
    labels: list[np.ndarray] = []
    drawn = _noting(blocks(world, found, Wanted(_SHOWERS, seed=1)), labels)
    showers = (values.inverse(found.samples.mapping, each) for each in drawn)
    if not world.is_root:
        list(showers)  # gives this rank's to rank 0
        return
    _print(found.step, (*measure(showers), np.concatenate(labels)), real[0], arguments.plot)


def _energies(labels: np.ndarray) -> np.ndarray:
    """Return the energies of labels, (N,) or (N, K)."""
    return labels if labels.ndim == 1 else labels[:, 0]


def _noting(drawn: Iterable[Block], energies: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield showers, and add the energies of their labels to ``energies``."""
    for showers, labels in drawn:
        assert labels is not None
        energies.append(_energies(labels))
        yield showers


def _check_energies(found: Checkpoint) -> None:
    """Refuse a checkpoint of another kind of run."""
    if found.config.model.condition != "regression":
        raise ConfigError(f"{found.path}: its showers have no energies (model.condition)")


def _print(step: int, drawn: _Measured, data: _Measured, plot: Path | None) -> None:
    """Print the figures of generated and real showers."""
    (generated, totals, energies), (real, real_totals, real_energies) = drawn, data
    pairs = {
        "longitudinal": (generated.longitudinal, real.longitudinal),
        "radial": (generated.radial, real.radial),
    }
    print(f"{_SHOWERS} showers after {step} steps, against {len(real_totals)} real ones")
    for name, (ours, theirs) in pairs.items():
        deviation = largest_deviation(ours, theirs)
        print(f"{name} profile: at most {deviation:.1%} off where more than {_SHARE:.0%} lies")
    print(
        f"total energy and the label's energy: correlation "
        f"{np.corrcoef(totals, energies)[0, 1]:.4f} (real showers: "
        f"{np.corrcoef(real_totals, real_energies)[0, 1]:.4f})"
    )
    if plot:
        _draw(plot, pairs, [(energies, totals), (real_energies, real_totals)])


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
    for (labels, total), name in zip(energies, ("generated", "real"), strict=True):
        of_energies.plot(labels[:1000], total[:1000], ".", markersize=3, label=name)
    of_energies.set(title="total energy", xlabel="energy of the particle", ylabel="in all cells")
    of_energies.legend()
    with writing(out):
        figure.savefig(out)


if __name__ == "__main__":
    sys.exit(main())
