"""The figures that compare a set of samples with a reference: which there are, and what computes
them.

Each is computed by all ranks from two ``Samples``, of which each rank holds a part, and is the same
on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hpcgan.evaluation.copies import copies
from hpcgan.evaluation.diversity import diversity
from hpcgan.evaluation.frechet import frechet, frechet_limit
from hpcgan.evaluation.kernel import kernel
from hpcgan.evaluation.precision_recall import precision_recall
from hpcgan.evaluation.samples import Samples
from hpcgan.evaluation.sliced import sliced

# Returns figures by name. All ranks must call it.
Figure = Callable[[Samples, Samples], Mapping[str, float]]

FIGURES: dict[str, Figure] = {
    "frechet": frechet,
    "frechet_limit": frechet_limit,
    "kernel": kernel,
    "precision_recall": precision_recall,
    "diversity": diversity,
    "sliced": sliced,
    "copies": copies,
}

DEFAULT = tuple(FIGURES)
