"""Folders of pictures to HDF5 as one writes it by hand: Pillow and h5py.

    python -m benchmarks.contestants.pictures_by_hand FOLDER OUT.h5 PROCESSES

One process puts each picture into the dataset as it is read; several decode, and one writes.
"""

from __future__ import annotations

import sys
from multiprocessing import Pool
from pathlib import Path

import h5py
import numpy as np
from PIL import Image


def main(folder: Path, out: Path, processes: int) -> None:
    """Convert all pictures."""
    classes = sorted(path.name for path in folder.iterdir())
    paths = [path for name in classes for path in sorted((folder / name).iterdir())]
    labels = [classes.index(path.parent.name) for path in paths]
    first = pixels(paths[0])
    with h5py.File(out, "w") as file:
        file["labels"] = np.array(labels, np.int32)
        images = file.create_dataset("images", (len(paths), *first.shape), np.uint8)
        if processes == 1:
            for number, path in enumerate(paths):
                images[number] = pixels(path)
        else:
            with Pool(processes) as pool:
                for number, each in enumerate(pool.imap(pixels, paths, chunksize=256)):
                    images[number] = each


def pixels(path: Path) -> np.ndarray:
    """Return a grey picture's pixels, (H, W, 1)."""
    with Image.open(path) as picture:
        return np.asarray(picture)[..., np.newaxis]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
