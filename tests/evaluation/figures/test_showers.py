"""The figures of showers, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan.data import values
from hpcgan.evaluation.figures.physics import physics
from hpcgan.evaluation.figures.showers import (
    largest_deviation,
    longitudinal,
    quantities,
    radial,
    showers,
)
from hpcgan.world import World
from tests.evaluation.made import spread


def made(seed: int, count: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Return showers, (count, 3, 4, 5, 1), and their labels, which their energies follow."""
    random = np.random.default_rng(seed)
    asked = random.uniform(1, 10, count)
    cells = random.gamma(0.5, size=(count, 3, 4, 5, 1)) * asked.reshape(-1, 1, 1, 1, 1)
    cells[cells < 0.5] = 0
    return (scale * cells).astype(np.float32), asked.astype(np.float32)


def samples(world: World, images: np.ndarray, labels: np.ndarray | None):
    return spread(world, np.zeros((len(images), 1)), images, labels)


def test_quantities_of_a_shower_by_hand() -> None:
    cells = np.zeros((1, 2, 3, 4))
    cells[0, 0, 0, 0], cells[0, 0, 2, 0] = 3, 1
    cells[0, 1, 1, 3], cells[0, 1, 1, 1], cells[0, 1, 0, 0] = 2, -1, 1e-9
    found = {name: each[0] for name, each in quantities(cells, np.array([10.0]), 1e-6).items()}
    assert found["energy_ratio"] == pytest.approx([0.5])
    assert found["layer_energies"] == pytest.approx([4, 1])
    # Along H of layer 0: 3 at -1 and 1 at 1; along W all at -1.5. What is below 0 has no weight.
    assert found["centres"] == pytest.approx([-0.5, 0, -1.5, 1.5], abs=1e-8)
    assert found["widths"] == pytest.approx([np.sqrt(0.75), 0, 0, 0], abs=1e-4)
    assert found["sparsity"] == pytest.approx([10 / 12, 11 / 12])


def test_a_layer_without_energy_has_its_centre_in_the_middle() -> None:
    found = quantities(np.zeros((1, 1, 3, 3)), np.array([1.0]), 0.0)
    assert found["centres"].tolist() == found["widths"].tolist() == [[0, 0]]
    assert found["sparsity"].tolist() == [[1]]


def test_profiles_are_energies_of_layers_and_rings() -> None:
    mean = np.zeros((2, 3, 3))
    mean[0, 1, 1], mean[1, 0, 1], mean[1, 2, 2] = 2, 1, 3  # on the axis, 1 and 1.41 cells from it
    assert longitudinal(mean).tolist() == [2, 4]
    assert radial(mean).tolist() == [2, 4]
    # Of an even number of cells around the corner of four: 0.71, 1.58 and 2.12 cells.
    assert radial(np.ones((1, 4, 4))).tolist() == [0, 4, 12]


def test_the_deviation_is_relative_and_only_where_the_energy_is() -> None:
    real = np.array([1.0, 49.0, 50.0])  # the first holds 1%
    assert largest_deviation(np.array([9.0, 49.0, 45.0]), real) == pytest.approx(0.1)
    assert largest_deviation(np.array([1.0, 58.8, 50.0]), real) == pytest.approx(0.2)
    assert np.isnan(largest_deviation(real, np.zeros(3)))


def test_the_same_showers_are_not_told_apart(world: World) -> None:
    cells, asked = made(0, 300)
    order = np.random.default_rng(1).permutation(300)
    found = showers(samples(world, cells[order], asked[order]), samples(world, cells, asked))
    correlation = np.corrcoef(cells.sum(axis=(1, 2, 3, 4)), asked)[0, 1]
    assert found.pop("energy_correlation") == pytest.approx(correlation, rel=1e-6)
    names = [
        "energy_ratio",
        "layer_energies",
        "centres",
        "widths",
        "sparsity",
        "longitudinal",
        "radial",
    ]
    assert list(found) == names
    assert found == pytest.approx(dict.fromkeys(names, 0.0), abs=1e-6)


def test_more_energy_is_seen_in_the_energies_alone(world: World) -> None:
    cells, asked = made(2, 300)
    labels = np.stack([asked, np.zeros_like(asked)], axis=1)  # the first is the energy
    more = samples(world, np.tile(1.5 * cells, (2, 1, 1, 1, 1)), np.tile(labels, (2, 1)))
    found = showers(more, samples(world, cells, labels))
    assert found["longitudinal"] == pytest.approx(0.5, rel=1e-5)
    assert found["radial"] == pytest.approx(0.5, rel=1e-5)
    ratios = [
        each.sum(axis=(1, 2, 3, 4), dtype=np.float64) / asked.astype(np.float64)
        for each in (1.5 * cells, cells)
    ]
    edges = np.linspace(ratios[1].min(), ratios[1].max(), 51)
    edges[-1] += 1e-9
    counts = [np.histogram(each, [*edges, np.inf])[0] / 300 for each in ratios]
    expected = 0.5 * np.sum((counts[0] - counts[1]) ** 2 / (counts[0] + counts[1] + 1e-16))
    assert found["energy_ratio"] == pytest.approx(expected, rel=1e-6)
    assert found["layer_energies"] > 0.1
    assert max(found["centres"], found["widths"], found["sparsity"]) < 0.02


def test_a_cell_counts_from_the_least_energy_of_the_reference(world: World) -> None:
    cells, asked = made(3, 300)
    noisy = np.where(cells == 0, np.float32(0.4), cells)  # the reference has none from 0 to 0.5
    found = showers(samples(world, noisy, asked), samples(world, cells, asked))
    assert found["sparsity"] == 0
    louder = np.where(cells == 0, np.float32(0.6), cells)
    found = showers(samples(world, louder, asked), samples(world, cells, asked))
    assert found["sparsity"] == 1


def test_showers_that_were_mapped_are_compared_in_the_units_of_their_source(world: World) -> None:
    mapping = values.parse("log10:0.01 scale:0.25,0")
    ours, theirs = made(4, 280, 1.2), made(5, 300)
    expected = showers(samples(world, *ours), samples(world, *theirs))
    mapped = [
        samples(world, values.forward(mapping, cells).astype(np.float32), asked)
        for cells, asked in (ours, theirs)
    ]
    found = physics(*mapped, mapping)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=0.02)
    assert found["longitudinal"] == pytest.approx(expected["longitudinal"], rel=1e-4)
    assert {"histogram", "spectrum", "spectrum_spread"} == found.keys() - expected.keys()


@pytest.mark.parametrize("labels", [None, np.arange(300) % 10])
def test_volumes_without_energies_are_no_showers(world: World, labels: np.ndarray | None) -> None:
    cells, asked = made(6, 300)
    assert showers(samples(world, cells, labels), samples(world, cells, asked)) == {}
    assert showers(samples(world, cells, asked), samples(world, cells, labels)) == {}
    pictures = samples(world, cells[:, 0], asked)
    assert showers(pictures, pictures) == {}


def test_what_is_the_same_for_all_has_no_correlation(world: World) -> None:
    cells, asked = made(7, 20)
    alike = samples(world, np.repeat(cells[:1], 20, axis=0), asked)
    assert "energy_correlation" not in showers(alike, samples(world, cells, asked))
