"""The command ``calorimeter``: showers of particles in a calorimeter, drawn from formulas.

An electron of energy E enters a block of cells along the first axis and makes an electromagnetic
shower. The mean energy that it leaves is the product of two profiles:

- along the axis, in units t of the radiation length, the gamma distribution of Longo and Sestili
  (Nucl. Instr. Meth. 128, 283 (1975)), as in the Review of Particle Physics, "Passage of particles
  through matter", section on electromagnetic cascades:

      dE/dt = E b (b t)^(a-1) e^(-b t) / Gamma(a),   (a - 1) / b = ln(E / E_c) - 0.5,   b = 0.5

  with the critical energy E_c = 10 MeV;
- across it, an exponential in the distance r from the axis, in units of cells:

      dE/dA ~ e^(-r / R),   R = 1.5 cells.

The energy of a cell is a number of quanta of 5 MeV, Poisson-distributed around its mean: so the
total fluctuates as in a sampling calorimeter, by 7% / sqrt(E in GeV).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_tools.layout import Compression, Layout

RATE = 0.5  # b, for each radiation length
CRITICAL_ENERGY = 0.01  # E_c in GeV
RADIUS = 1.5  # R in cells
QUANTUM = 0.005  # GeV
# Radiation lengths of all cells along the axis: enough for the whole shower.
DEPTH = 25.0
ENERGIES = (10.0, 500.0)  # GeV


def longitudinal(energy: np.ndarray, cells: int) -> np.ndarray:
    """Return the mean parts of a shower's energy in the layers along its axis.

    They are integrals of the gamma distribution over each layer of ``DEPTH`` / cells radiation
    lengths; what leaks out behind the last layer is missing from their sum.

    Args:
        energy: of the particles in GeV, (N,), above E_c.
        cells: the number of layers.

    Returns:
        (N, cells), float64.
    """
    from scipy import special  # here: all commands would wait for it

    shape = 1 + RATE * (np.log(np.asarray(energy) / CRITICAL_ENERGY) - 0.5)
    edges = np.linspace(0, DEPTH, cells + 1)
    return np.diff(special.gammainc(shape[:, np.newaxis], RATE * edges), axis=1)


def radial(height: int, width: int) -> np.ndarray:
    """Return the mean parts of a layer's energy in its cells, (height, width), float64.

    The axis goes through the middle; the density at a cell's centre stands for the cell. The parts
    add up to 1: nothing leaks out at the sides.
    """
    y, x = (np.arange(size) - (size - 1) / 2 for size in (height, width))
    density = np.exp(-np.hypot(y[:, np.newaxis], x) / RADIUS)
    return density / density.sum()


@dataclass(frozen=True)
class Showers:
    """What a file of showers holds.

    Attributes:
        count: the number of showers.
        shape: cells (D, H, W); D lies along the axis.
        energies: lowest and highest energy of the particles in GeV, uniform between.
        seed: of the showers, 0 to 2**64 - 1.
        chunk: samples per chunk; None for about 1 MiB.
        compression: of the chunks.
    """

    count: int
    shape: tuple[int, int, int] = (25, 25, 25)
    energies: tuple[float, float] = ENERGIES
    seed: int = 0
    chunk: int | None = None
    compression: Compression = "none"

    @property
    def scale(self) -> float:
        """GeV that are stored as 1: twice the mean of the largest cell at the highest energy.

        So the values lie between 0 and about 1, within what a generator's tanh gives.
        """
        high = np.array([self.energies[1]])
        largest = longitudinal(high, self.shape[0]).max() * radial(*self.shape[1:]).max()
        return float(2 * high[0] * largest)

    @property
    def layout(self) -> Layout:
        """The file; the scale is an attribute of its images."""
        datasets = {"images": ((*self.shape, 1), "<f4"), "labels": ((), "<f4")}
        cells = "x".join(map(str, self.shape))
        return Layout(
            self.count,
            datasets,
            self.chunk,
            self.compression,
            {"images": {"scale": self.scale}},
            f"showers in {cells} cells, 1 stands for {self.scale:.6g} GeV, labels in GeV",
        )

    def content(self, samples: range) -> dict[str, np.ndarray]:
        """Return a run of showers.

        Each depends on the seed and its own number alone (Philox, a counter-based generator).

        Returns:
            ``images``, float32 (n, D, H, W, 1), energies in units of ``scale``; ``labels``, float32
            (n,), the particles' energies in GeV.
        """
        energies = np.empty(len(samples), np.float32)
        images = np.empty((len(samples), *self.shape, 1), np.float32)
        across, scale = radial(*self.shape[1:]), self.scale
        for place, number in enumerate(samples):
            key = np.array([self.seed, number], np.uint64)
            generator = np.random.Generator(np.random.Philox(key=key))
            energies[place] = energy = generator.uniform(*self.energies)
            along = longitudinal(np.array([energy]), self.shape[0])[0]
            mean = energy * along[:, np.newaxis, np.newaxis] * across
            images[place, ..., 0] = generator.poisson(mean / QUANTUM) * (QUANTUM / scale)
        return {"images": images, "labels": energies}
