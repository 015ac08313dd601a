"""The names of the figures, for the command line: without what computes them (``table``)."""

from __future__ import annotations

NAMES = (
    "frechet",
    "frechet_limit",
    "kernel",
    "precision_recall",
    "diversity",
    "sliced",
    "copies",
    "physics",
    "two_sample",
    "score",
    "missing_classes",
)

# Figures that are computed together, and each may be asked for.
TOGETHER = dict.fromkeys(("precision", "recall", "density", "coverage"), "precision_recall")

# Those that need the features of a classifier.
OF_CLASSES = ("score", "missing_classes")

# All but the one that trains networks, and those.
DEFAULT = tuple(name for name in NAMES if name not in ("two_sample", *OF_CLASSES))

# Samples of each kind: a 5th neighbour has still one sample behind it in half of them.
FEWEST = 12
