"""Radial power spectra, by hand and against sums over all frequencies."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from hpcgan.data import values
from hpcgan.evaluation.figures.spectrum import radial_power, spectrum
from hpcgan.world import World
from tests.evaluation.made import spread

SHAPES = [(16, 16, 1), (9, 12, 2), (8, 8, 8, 1), (6, 10, 7, 1), (1, 8, 8, 1)]


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def by_hand(image: np.ndarray) -> list[float]:
    """Return the mean power of each band, frequency by frequency."""
    sides = image.shape[:-1]
    shortest = min(side for side in sides if side > 1)
    sums = [[0.0, 0.0] for _ in range(shortest // 2 + 1)]
    for place in itertools.product(*(range(side) for side in sides)):
        signed = [
            (p if 2 * p < side else p - side) / side for p, side in zip(place, sides, strict=True)
        ]
        band = round(math.hypot(*signed) * shortest)
        if band <= shortest // 2:
            where = sum(
                k * index / side
                for k, index, side in zip(place, np.indices(sides), sides, strict=True)
            )
            waves = np.exp(-2j * np.pi * where)[..., np.newaxis]
            transformed = (image * waves).sum(axis=tuple(range(len(sides))))
            sums[band][0] += float(np.mean(np.abs(transformed) ** 2)) / math.prod(sides)
            sums[band][1] += 1
    return [total / count for total, count in sums[1:]]


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_the_mean_over_all_frequencies_of_a_band(shape: tuple[int, ...]) -> None:
    images = noise(0, 2, *shape) + 5
    found = radial_power(images)
    np.testing.assert_allclose(found, [by_hand(image) for image in images], rtol=1e-6)


def test_a_wave_has_power_in_its_band_alone_to_nyquist() -> None:
    x = np.arange(16)
    for periods in (1, 5, 8):
        image = np.cos(2 * np.pi * periods * x / 16) * np.ones((16, 1))
        power = radial_power(image[np.newaxis, :, :, np.newaxis])[0]
        assert power.shape == (8,)
        assert power.argmax() == periods - 1
        assert np.delete(power, periods - 1).max() < 1e-20


def test_noise_has_its_variance_in_all_bands_of_a_volume() -> None:
    power = radial_power(3 * noise(1, 200, 8, 8, 8, 1)).mean(axis=0)
    np.testing.assert_allclose(power, 9, rtol=0.1)


@pytest.mark.parametrize("shape", SHAPES)
def test_twice_the_contrast_is_4_times_the_power_and_its_spread(
    world: World, shape: tuple[int, ...]
) -> None:
    images = noise(2, 300, *shape)
    samples, reference = (
        spread(world, np.zeros((300, 1)), each) for each in (2 * images + 7, images)
    )
    found = spectrum(samples, reference)
    expected = {"spectrum": math.log(4), "spectrum_spread": math.log(4)}
    assert found == pytest.approx(expected, rel=1e-5)
    assert spectrum(reference, samples) == pytest.approx(expected, rel=1e-5)


def test_the_mean_and_the_spread_by_hand(world: World) -> None:
    wave = np.cos(np.pi * np.arange(2)).reshape(1, 1, 2, 1) * np.ones((1, 2, 1, 1))  # one band
    ours, theirs = (
        spread(
            world,
            np.zeros((len(power), 1)),
            wave * np.sqrt(power)[:, np.newaxis, np.newaxis, np.newaxis],
        )
        for power in ([1.0, 2, 6], [2.0, 4])
    )
    found = spectrum(ours, theirs)  # sample deviations sqrt(7) and sqrt(2), means 3 and 3
    assert found["spectrum"] == pytest.approx(0, abs=1e-12)
    assert found["spectrum_spread"] == pytest.approx(math.log(7 / 2) / 2, rel=1e-9)


def test_values_that_were_mapped_are_compared_in_the_units_of_their_source(world: World) -> None:
    mapping = values.parse("symlog:0.1 scale:0.5,0.1")
    source = [noise(3, 40, 8, 8, 1), 1.5 * noise(4, 50, 8, 8, 1)]
    plain = [spread(world, np.zeros((len(each), 1)), each) for each in source]
    mapped = [
        spread(world, np.zeros((len(each), 1)), values.forward(mapping, each)) for each in source
    ]
    assert spectrum(*mapped, mapping) == pytest.approx(spectrum(*plain), rel=1e-4)
    assert spectrum(*mapped) != pytest.approx(spectrum(*plain), rel=1e-2)


def test_samples_without_any_power_and_references_without(world: World) -> None:
    flat = spread(world, np.zeros((5, 1)), np.full((5, 8, 8, 1), 3, np.uint8))
    real = spread(world, np.zeros((9, 1)), noise(5, 9, 8, 8, 1))
    found = spectrum(flat, real)
    assert found == pytest.approx(dict.fromkeys(found, -math.log(1e-12)), rel=1e-9)
    assert len(found) == 2
    assert spectrum(real, flat) == {}
    points = spread(world, np.zeros((5, 1)), noise(6, 5, 1, 1, 1))
    assert spectrum(points, points) == {}
