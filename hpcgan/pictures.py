"""Pictures of samples: many in one grid."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image


def to_dtype(samples: np.ndarray, dtype: str) -> np.ndarray:
    """Return G's samples in the data's dtype: float32 as they are, [-1, 1] as uint8 0 to 255."""
    if dtype == "float32":
        return samples.astype(np.float32, copy=False)
    return np.clip(np.rint((samples + 1) * 127.5), 0, 255).astype(np.uint8)


def grid(samples: np.ndarray) -> Image.Image:
    """Return samples side by side in a grid that is nearly square, row by row.

    Args:
        samples: (N, H, W, C), or (N, D, H, W, C), of which the middle slice is shown; float in
            [-1, 1], or uint8. Three channels are shown as RGB, of others the first as grey.
    """
    if samples.ndim == 5:
        samples = samples[:, samples.shape[1] // 2]
    pixels = samples if samples.dtype == np.uint8 else to_dtype(samples, "uint8")
    if pixels.shape[-1] != 3:
        pixels = pixels[..., :1]
    count, height, width, channels = pixels.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    cells = np.zeros((rows * columns, height, width, channels), np.uint8)
    cells[:count] = pixels
    cells = cells.reshape(rows, columns, height, width, channels)
    picture = cells.swapaxes(1, 2).reshape(rows * height, columns * width, channels)
    return Image.fromarray(picture if channels == 3 else picture[..., 0])
