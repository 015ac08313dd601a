"""The figures that compare a set of samples with a reference: which there are, and what computes
them.

Each is computed by all ranks from two ``Samples``, of which each rank holds a part, and is the same
on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hpcgan.evaluation.frechet import frechet
from hpcgan.evaluation.samples import Samples

# Returns figures by name. All ranks must call it.
Figure = Callable[[Samples, Samples], Mapping[str, float]]

FIGURES: dict[str, Figure] = {"frechet": frechet}
