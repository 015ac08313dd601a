"""Are details of every size as strong as in the data? Radial power spectra of pictures and
volumes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.fft

from hpcgan.blocks import BLOCK
from hpcgan.data import values
from hpcgan.evaluation.samples import Samples

# A power below this share of the reference's counts as that, so that a figure stays finite.
_LEAST = 1e-12


class Spectrum(NamedTuple):
    """Mean and standard deviation over the samples of the power of each band, (bands,)."""

    mean: np.ndarray
    spread: np.ndarray


def spectrum(samples: Samples, reference: Samples, mapping: values.Values = ()) -> dict[str, float]:
    """Return how far the radial power spectra of samples and reference are apart.

    ``spectrum`` is the mean over the bands of frequencies of |ln(mean power / the reference's)|,
    ``spectrum_spread`` the same of the standard deviations over the samples. Bands in which the
    reference has none are left out. Samples of one cell have no figures. All ranks must call it.

    Args:
        samples: pictures or volumes, 2 or more.
        reference: others of the same shape.
        mapping: how their values were made from those in the units of their source, in which the
            power is measured.
    """
    ours, theirs = (_spectrum(each, mapping) for each in (samples, reference))
    names = {"spectrum": (ours.mean, theirs.mean), "spectrum_spread": (ours.spread, theirs.spread)}
    found = {}
    for name, (power, expected) in names.items():
        has_power = expected > 0
        if has_power.any():
            ratios = np.maximum(power[has_power] / expected[has_power], _LEAST)
            found[name] = float(np.abs(np.log(ratios)).mean())
    return found


def _spectrum(samples: Samples, mapping: values.Values) -> Spectrum:
    """Return the spectrum of the samples of all ranks. All ranks must call it."""
    group, images = samples.group, samples.images
    bands = _bands(images.shape[1:-1])
    parts = [
        radial_power(values.inverse(mapping, images[at : at + BLOCK]))
        for at in range(0, len(images), BLOCK)
    ]
    power = np.concatenate([np.zeros((0, bands.max(initial=0))), *parts])
    mean = group.sum_arrays(power.sum(axis=0)) / samples.count
    squares = group.sum_arrays(np.sum((power - mean) ** 2, axis=0))
    return Spectrum(mean, np.sqrt(squares / (samples.count - 1)))


def radial_power(images: np.ndarray) -> np.ndarray:
    """Return the mean power of each sample in each band, (n, bands).

    The power of a frequency is the squared absolute value of the discrete Fourier transform over
    the number of cells. A band is all frequencies, whatever their direction, of which the shortest
    side L sees about k periods, k = 1 to L // 2: from all but the mean to Nyquist's. Higher ones,
    which a square has in its corners only, belong to none.

    Args:
        images: (n, H, W, C) or (n, D, H, W, C). Channels are averaged.
    """
    sides = images.shape[1:-1]
    axes = tuple(range(1, 1 + len(sides)))
    transformed = scipy.fft.fftn(images.astype(np.float64), axes=axes)
    power = np.mean(np.abs(transformed) ** 2, axis=-1).reshape(len(images), -1) / np.prod(sides)
    bands = _bands(sides).ravel()
    # (cells, bands): the share of each frequency in the mean of its band.
    belongs = bands[:, np.newaxis] == np.arange(1, bands.max(initial=0) + 1)
    means: np.ndarray = power @ (belongs / belongs.sum(axis=0))
    return means


def _bands(sides: tuple[int, ...]) -> np.ndarray:
    """Return the band of each frequency of the transform, (*sides); 0 for none."""
    shortest = min((side for side in sides if side > 1), default=1)
    frequencies = np.meshgrid(*(np.fft.fftfreq(side) for side in sides), indexing="ij")
    periods = np.sqrt(sum(each**2 for each in frequencies)) * shortest  # of the shortest side
    bands = np.rint(periods).astype(int)
    return np.where(bands <= shortest // 2, bands, 0)
