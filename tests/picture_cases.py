"""Sources of pictures: what ``conversions`` converts, and a file of one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from conversions import Case
from PIL import Image


def pictures(
    words: list[str],
    images: np.ndarray,
    labels: np.ndarray | None = None,
    said: tuple[str, ...] = (),
) -> Case:
    """Return the case of a source of pictures, of any attributes."""
    return Case(" ".join(words), images, labels, said, attributes=None)


def saved(path: Path, array: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
