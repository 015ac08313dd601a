"""The command ``digits``: real handwriting for demonstrations, without a download.

scikit-learn brings 1,797 digits of 8x8 pixels (the test part of UCI's optdigits). They are
enlarged and laid out as MNIST's are: 20 pixels of 28 hold the digit, and its centre of mass is
in the centre of the frame.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from data_tools.layout import Layout
from hpcgan import packages
from hpcgan.errors import ConfigError
from hpcgan.files import whole_hdf5

SMALLEST, LARGEST = 8, 128  # pixels per side: fewer lose the digit, more show nothing new

_INK = 16  # the darkest value of the 8x8 digits


def digit_images(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all digits, with ``SMALLEST`` to ``LARGEST`` pixels per side.

    Returns:
        Images, uint8 (1797, size, size, 1), 0 for paper and 255 for ink, and labels, uint8
        (1797,), both in scikit-learn's order.

    Raises:
        ConfigError: scikit-learn cannot be imported.
    """
    wrong = packages.problem("sklearn")
    if wrong:
        raise ConfigError(
            f"the digits come with scikit-learn, which {wrong}; "
            "install the extra 'demo': pip install 'hpcgan[demo]'"
        )
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.stack(
        [_centre(_enlarge(digit, round(size * 20 / 28)), size) for digit in digits.images]
    )
    return images[..., np.newaxis], digits.target.astype(np.uint8)


def split_held_out(labels: np.ndarray, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Choose samples to hold out: the same fraction of each class, at random.

    Args:
        labels: classes, (N,).
        fraction: the part to hold out, between 0 and 1, rounded to whole samples in each class.
        seed: of the choice, at least 0.

    Returns:
        The indices that stay and those held out, each int64 and ascending.

    Raises:
        ConfigError: a value is out of bounds, or a class would be missing from either part.
    """
    if not 0 < fraction < 1:
        raise ConfigError(f"--held-out is {fraction}; it must be between 0 and 1")
    generator = np.random.default_rng(seed)
    held_out = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = round(fraction * len(members))
        if not 0 < count < len(members):
            raise ConfigError(
                f"--held-out is {fraction}; of the {len(members)} samples of class {label} that "
                f"holds out {count}, and both files need some"
            )
        held_out[generator.permutation(members)[:count]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def write(out: Path, size: int, held_out: float | None, seed: int) -> list[str]:
    """Write the digits to ``out``; return a line to print for each file.

    If ``held_out`` is given, that fraction of each class, chosen by ``seed``, goes to a second file
    instead, which has "-held-out" before the suffix.

    Raises:
        ConfigError: an option is wrong, or scikit-learn cannot be imported.
        DataError: ``out`` is a directory, or is in none.
        RunError: a file cannot be written.
    """
    if seed and held_out is None:
        raise ConfigError(f"--seed is {seed}, which chooses what --held-out holds out; give both")
    images, labels = digit_images(size)
    parts = {out: np.arange(len(labels))}
    if held_out is not None:
        stay, go = split_held_out(labels, held_out, seed)
        parts = {out: stay, out.with_name(f"{out.stem}-held-out{out.suffix}"): go}
    for path, indices in parts.items():
        layout = Layout(len(indices), {"images": (images.shape[1:], "u1"), "labels": ((), "u1")})
        with whole_hdf5(path) as file:
            layout.create(file, "images", len(indices))[...] = images[indices]
            layout.create(file, "labels", len(indices))[...] = labels[indices]
    shape = "x".join(map(str, images.shape[1:]))
    return [f"{path}: {len(indices)} samples, {shape} uint8" for path, indices in parts.items()]


def _enlarge(digit: np.ndarray, side: int) -> np.ndarray:
    """Return an 8x8 digit as side x side pixels, float, 0 to 1."""
    # Bicubic ink ends half a source pixel outside the 8x8. With paper around it and a window of
    # 9x9 that ink fades out inside the result; without, it would end in a straight edge.
    paper = Image.fromarray(np.pad(digit, 2).astype(np.float32))
    window = (1.5, 1.5, 10.5, 10.5)
    enlarged = paper.resize((side, side), Image.Resampling.BICUBIC, box=window)
    return np.clip(np.asarray(enlarged) / _INK, 0, 1)


def _centre(digit: np.ndarray, size: int) -> np.ndarray:
    """Return a frame, uint8 size x size, with the digit's centre of mass in its centre."""
    from scipy import ndimage  # here: all commands would wait for it

    side = len(digit)
    pixels = np.rint(255 * digit).astype(np.uint8)
    frame = np.zeros((size, size), np.uint8)
    top, left = (round((size - 1) / 2 - mean) for mean in ndimage.center_of_mass(pixels))
    frame[top : top + side, left : left + side] = pixels
    return frame
