"""Sources of pictures, and how all cases of a test module are converted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from converting import convert_all
from PIL import Image


@dataclass
class Case:
    """A source's options, what its file must hold, and what must be said."""

    words: list[str]
    images: np.ndarray
    labels: np.ndarray | None = None
    said: tuple[str, ...] = ()


def saved(path: Path, array: np.ndarray, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


class Converted:
    """Sources, converted by one process and by three.

    Attributes:
        place: where the sources are; the results are in "one" and "three".
        cases: by name.
        said: by each number of processes, by name.
    """

    def __init__(self, place: Path, makers: Mapping[str, Callable[[Path], Case]]) -> None:
        self.place = place
        self.cases = {name: make(place) for name, make in makers.items()}
        words = {name: case.words for name, case in self.cases.items()}
        self.said = [convert_all(place, words, *how) for how in (("one", None), ("three", 3))]

    def check(self, name: str) -> None:
        """Check a case's samples, and that both have written and said the same."""
        case = self.cases[name]
        with h5py.File(self.place / "one" / f"{name}.h5") as file:
            np.testing.assert_array_equal(file["images"], case.images)
            assert file["images"].dtype == case.images.dtype
            assert ("labels" in file) is (case.labels is not None)
            if case.labels is not None:
                np.testing.assert_array_equal(file["labels"], case.labels)
        one, three = (self.place / ranks / f"{name}.h5" for ranks in ("one", "three"))
        assert one.read_bytes() == three.read_bytes()
        for every in self.said:
            for line in case.said:
                assert f"\n  {line}" in every[name]
        first, second = (each[name].splitlines()[1:] for each in self.said)
        assert first == second
