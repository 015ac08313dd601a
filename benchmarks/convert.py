"""How fast folders of small PNGs become HDF5: ``python -m benchmarks.convert``.

Whole programs in turn, from their start to their end: ``hpcgan-data convert`` on one rank and on
two, and Pillow and h5py by hand in one process and in two. What they write is compared.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median

import h5py
import numpy as np
from PIL import Image

from benchmarks.measure import MPIRUN, in_turns, run

CLASSES = 10
TURNS = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60_000, help="pictures (default: 60000)")
    parser.add_argument("--turns", type=int, default=TURNS, help=f"default: {TURNS}")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="convert-") as name:
        place = Path(name)
        write_pictures(place / "pictures", given.count)
        ours = [sys.executable, "-m", "data_tools", "convert", str(place / "pictures")]
        hand = [sys.executable, "-m", "benchmarks.contestants.pictures_by_hand"]
        outs = {
            ("hpcgan", 1): [*ours, str(place / "1.h5")],
            ("hpcgan", 2): [MPIRUN, "-n", "2", "--bind-to", "core", *ours, str(place / "2.h5")],
            ("by hand", 1): [*hand, str(place / "pictures"), str(place / "3.h5"), "1"],
            ("by hand", 2): [*hand, str(place / "pictures"), str(place / "4.h5"), "2"],
        }
        found = in_turns({way: partial(seconds, words) for way, words in outs.items()}, given.turns)
        compare([place / f"{number}.h5" for number in range(1, 5)])
    report(given.count, {way: median(each) for way, each in found.items()})


def report(count: int, took: dict[tuple[str, int], float]) -> None:
    """Print the rates, and each beside that by hand on as many processes."""
    print(f"{count} PNGs of 28x28 in {CLASSES} folders, medians of interleaved turns")
    print(f"  {'':<22}{'seconds':>9}{'pictures/s':>12}{'of by hand':>12}")
    for (program, processes), each in took.items():
        way = f"{program}, {processes} process{'es' if processes > 1 else ''}"
        ratio = took["by hand", processes] / each
        print(f"  {way:<22}{each:>9.2f}{count / each:>12.0f}{ratio:>12.2f}")


def write_pictures(folder: Path, count: int) -> None:
    """Write smooth grey pictures of 28x28 that PNG compresses as it does digits."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:28, :28]
    for number in range(count):
        path = folder / str(number % CLASSES) / f"{number:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        row, column, width = rng.uniform(8, 20), rng.uniform(8, 20), rng.uniform(2, 5)
        distance = np.hypot(rows - row, columns - column)
        values = 255 * np.exp(-((distance / width) ** 2))
        Image.fromarray(values.astype(np.uint8)).save(path)


def seconds(words: Sequence[str]) -> float:
    """Return the seconds that a program takes."""
    began = time.perf_counter()
    run(words)
    return time.perf_counter() - began


def compare(paths: list[Path]) -> None:
    """End with a message unless all files hold the same."""
    arrays = []
    for path in paths:
        with h5py.File(path) as file:
            arrays.append((file["images"][:], file["labels"][:]))
    for path, each in zip(paths, arrays, strict=True):
        if not all(map(np.array_equal, each, arrays[0])):
            sys.exit(f"{path.name} differs from {paths[0].name}")


if __name__ == "__main__":
    main()
