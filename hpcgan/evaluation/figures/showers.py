"""Are the showers that a GAN makes in a calorimeter like those it learned from?

Volumes (D, H, W, C) with the particle's energy as label (``hpcgan-data calorimeter``): layers along
the first axis, around whose middle the particle came. Of labels of several values the first is the
energy. What is compared is what CaloChallenge compares (Krause et al., 2024, arXiv:2410.21611), in
the units of the source of the data.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hpcgan.blocks import BLOCK
from hpcgan.data import values
from hpcgan.evaluation.figures.histograms import separation
from hpcgan.evaluation.samples import Samples
from hpcgan.group import Group

_BINS = 50
# Layers and rings with a smaller share of the energy are not compared by their profiles.
_SHARE = 0.02

# Quantities of this rank's showers, (own, ...) each.
Quantities = dict[str, np.ndarray]


class Showers(NamedTuple):
    """Showers of all ranks.

    Attributes:
        quantities: by the name of their figure: ``energy_ratio``, (own, 1), the total energy over
            the asked one; ``layer_energies`` (own, D); ``centres`` and ``widths`` (own, 2 D), of
            each layer in both directions, in cells; ``sparsity`` (own, D), the share of the cells
            of a layer without energy.
        mean: of the showers of all ranks, (D, H, W).
        correlation: of the total energy with the asked one; NaN if one of them is constant.
    """

    quantities: Quantities
    mean: np.ndarray
    correlation: float


def showers(samples: Samples, reference: Samples, mapping: values.Values = ()) -> dict[str, float]:
    """Return the figures of showers; none if the samples are no volumes with energies.

    - ``energy_ratio``, ``layer_energies``, ``centres``, ``widths``, ``sparsity``: separation power
      of the histograms; where there are several (a layer each), their mean.
    - ``longitudinal``, ``radial``: the largest relative deviation of the mean energy of a layer,
      and of a ring around the axis, that has more than 2% of the energy.
    - ``energy_correlation``: of total and asked energy; the reference is not looked at.

    All ranks must call it.

    Args:
        samples: with float labels, 2 or more.
        reference: others of the same shape.
        mapping: how their cells were made from those in the units of their source.
    """
    group = samples.group
    if samples.images.ndim != 5 or not all(_have_energies(each) for each in (samples, reference)):
        return {}
    threshold = _least_energy(reference, mapping)
    ours, theirs = (_measure(each, mapping, threshold) for each in (samples, reference))
    found = {
        name: float(separation(group, [own], [theirs.quantities[name]], _BINS).mean())
        for name, own in ours.quantities.items()
    }
    for name, profile in {"longitudinal": longitudinal, "radial": radial}.items():
        found[name] = largest_deviation(profile(ours.mean), profile(theirs.mean))
    found["energy_correlation"] = ours.correlation
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _have_energies(samples: Samples) -> bool:
    """Return whether the samples have real labels. All ranks must call it."""
    labels = samples.labels  # a rank without samples may have none
    own = labels is not None and len(labels) > 0 and labels.dtype.kind == "f"
    return any(samples.group.gather_json(own))


def _cells(images: np.ndarray, mapping: values.Values) -> np.ndarray:
    """Return the energies in the cells of showers, (n, D, H, W) float64, of (n, D, H, W, C)."""
    return values.inverse(mapping, images).sum(axis=-1, dtype=np.float64)


def _parts(samples: Samples) -> list[np.ndarray]:
    """Return this rank's images by blocks, so that little memory is needed for what is computed."""
    images = samples.images
    return [images[at : at + BLOCK] for at in range(0, len(images), BLOCK)]


def _least_energy(samples: Samples, mapping: values.Values) -> float:
    """Return the least energy above 0 in a cell of all ranks' showers; 0 if there is none.

    Networks make no exact zeros: less than this is none. All ranks must call it.
    """
    cells = (_cells(part, mapping) for part in _parts(samples))
    own = [float(each[each > 0].min(initial=np.inf)) for each in cells]
    least = min(each for rank in samples.group.gather_json(own) for each in rank)
    return least if np.isfinite(least) else 0.0


def _measure(samples: Samples, mapping: values.Values, threshold: float) -> Showers:
    """Return what showers are like. All ranks must call it.

    Args:
        samples: with labels.
        mapping: of the cells.
        threshold: the least energy that a cell counts as having.
    """
    group, count, shape = samples.group, samples.count, samples.images.shape[1:4]
    measured, total = [quantities(np.zeros((0, *shape)), np.zeros(0), threshold)], np.zeros(shape)
    energies, asked = [np.zeros(0)], _asked(samples)
    for place, part in enumerate(_parts(samples)):
        cells = _cells(part, mapping)
        own = slice(place * BLOCK, place * BLOCK + len(cells))
        measured.append(quantities(cells, asked[own], threshold))
        total += cells.sum(axis=0)
        energies.append(cells.sum(axis=(1, 2, 3)))
    joined = {name: np.concatenate([each[name] for each in measured]) for name in measured[0]}
    correlation = _correlation(group, count, np.concatenate(energies), asked)
    return Showers(joined, group.sum_arrays(total) / count, correlation)


def _asked(samples: Samples) -> np.ndarray:
    """Return the energies of this rank's labels, (own,) float64."""
    labels = samples.labels
    if labels is None or not len(labels):
        return np.zeros(0)
    energies: np.ndarray = labels.reshape(len(labels), -1)[:, 0].astype(np.float64)
    return energies


def quantities(cells: np.ndarray, asked: np.ndarray, threshold: float) -> Quantities:
    """Return the quantities of ``Showers`` for showers, (n, D, H, W), and asked energies, (n,).

    Centres and widths are weighted by the energies above 0, and 0 in a layer that has none.
    """
    energy = np.maximum(cells, 0)
    in_layer = energy.sum(axis=(2, 3))
    weight = np.where(in_layer > 0, in_layer, 1)
    centres, widths = [], []
    for axis in (2, 3):
        position = np.arange(cells.shape[axis]) - (cells.shape[axis] - 1) / 2
        along = energy.sum(axis=5 - axis)  # (n, D, H) or (n, D, W)
        centre = along @ position / weight
        # About the centre, so that it does not fall below 0 by rounding.
        distance = position - centre[:, :, np.newaxis]
        centres.append(centre)
        widths.append(np.sqrt(np.sum(along * distance**2, axis=2) / weight))
    has_energy = (cells >= threshold) & (cells > 0)
    with np.errstate(divide="ignore", invalid="ignore"):  # nothing asked for: beyond all bins
        ratio = cells.sum(axis=(1, 2, 3)) / asked
    return {
        "energy_ratio": ratio[:, np.newaxis],
        "layer_energies": cells.sum(axis=(2, 3)),
        "centres": np.hstack(centres),
        "widths": np.hstack(widths),
        "sparsity": 1 - has_energy.mean(axis=(2, 3)),
    }


def longitudinal(mean: np.ndarray) -> np.ndarray:
    """Return the energy in each layer of a mean shower, (D, H, W)."""
    energies: np.ndarray = mean.sum(axis=(1, 2))
    return energies


def radial(mean: np.ndarray) -> np.ndarray:
    """Return the energy in each ring around the axis of a mean shower, (D, H, W).

    Ring n holds the cells of a layer whose distance from its middle rounds to n cells.
    """
    y, x = (np.arange(size) - (size - 1) / 2 for size in mean.shape[1:])
    rings = np.rint(np.hypot(y[:, np.newaxis], x)).astype(int)
    return np.bincount(rings.ravel(), weights=mean.sum(axis=0).ravel())


def largest_deviation(generated: np.ndarray, real: np.ndarray) -> float:
    """Return the largest |generated / real - 1| where ``real`` has more than 2% of its sum.

    NaN if it has so nowhere.
    """
    counts = real > _SHARE * real.sum()
    if not counts.any():
        return float("nan")
    return float(np.abs(generated[counts] / real[counts] - 1).max())


def _correlation(group: Group, count: int, a: np.ndarray, b: np.ndarray) -> float:
    """Return Pearson's correlation of two quantities of all ranks' samples, (own,) each.

    NaN if one of them is constant. All ranks must call it.
    """
    pair = np.stack([a, b])
    mean = group.sum_arrays(pair.sum(axis=1)) / count
    centred = pair - mean[:, np.newaxis]
    products = group.sum_arrays(centred @ centred.T)
    scale = np.sqrt(products[0, 0] * products[1, 1])
    return float(products[0, 1] / scale) if scale > 0 else float("nan")
