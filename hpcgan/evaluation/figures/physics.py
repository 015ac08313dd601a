"""What physicists look at: values, power spectra, and the showers of calorimeters."""

from __future__ import annotations

from hpcgan.data import values
from hpcgan.evaluation.figures.histograms import histogram
from hpcgan.evaluation.figures.showers import showers
from hpcgan.evaluation.figures.spectrum import spectrum
from hpcgan.evaluation.samples import Samples


def physics(samples: Samples, reference: Samples, mapping: values.Values = ()) -> dict[str, float]:
    """Return the figures of ``histogram``, ``spectrum`` and ``showers``, which need no features.

    All ranks must call it.

    Args:
        samples: with their images as in the data file.
        reference: others of the same shape and dtype.
        mapping: how values were mapped by ``hpcgan-data convert --values``. Spectra and showers are
            compared in the units of the source, histograms of values as they are mapped: that is
            where bins of equal width tell most.
    """
    return {
        **histogram(samples, reference),
        **spectrum(samples, reference, mapping),
        **showers(samples, reference, mapping),
    }
