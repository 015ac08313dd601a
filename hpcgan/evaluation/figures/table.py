"""The figures that compare a set of samples with a reference: which there are, and what computes
them.

Each is computed by all ranks from two ``Samples``, of which each rank holds a part, and is the same
on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hpcgan.evaluation.figures.class_figures import missing_classes, score
from hpcgan.evaluation.figures.copies import copies
from hpcgan.evaluation.figures.diversity import diversity
from hpcgan.evaluation.figures.frechet import frechet, frechet_limit
from hpcgan.evaluation.figures.kernel import kernel
from hpcgan.evaluation.figures.physics import physics
from hpcgan.evaluation.figures.precision_recall import precision_recall
from hpcgan.evaluation.figures.sliced import sliced
from hpcgan.evaluation.figures.two_sample import two_sample
from hpcgan.evaluation.samples import Samples

# Returns figures by name, those that there are for such samples. All ranks must call it.
Figure = Callable[[Samples, Samples], Mapping[str, float]]

FIGURES: dict[str, Figure] = {
    "frechet": frechet,
    "frechet_limit": frechet_limit,
    "kernel": kernel,
    "precision_recall": precision_recall,
    "diversity": diversity,
    "sliced": sliced,
    "copies": copies,  # of the second set, which must be the training data
    "physics": physics,
    "two_sample": two_sample,
    "score": score,
    "missing_classes": missing_classes,
}
