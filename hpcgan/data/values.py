"""How the values of a data file's samples were made from those of its source, and back.

Networks learn values of about [-1, 1]; cells of a calorimeter span five powers of ten. ``convert
--values`` maps them, the attribute ``values`` of the dataset keeps how, and what is generated is
mapped back. One step a word, in the order in which they were applied:

- ``scale:a,b``: y = a x + b
- ``log10:floor``: y = log10(max(x, floor)); back, what is not above the floor is 0
- ``symlog:linthresh``: y = sign(x) log10(1 + |x| / linthresh) (Webber, 2013,
  https://doi.org/10.1088/0957-0233/24/2/027001), linear about 0
- ``minmax:low,high``: y = 2 (x - low) / (high - low) - 1, in [-1, 1]; ``convert`` finds the two

``identity`` changes nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_NUMBERS = {"identity": 0, "scale": 2, "log10": 1, "symlog": 1, "minmax": 2}


@dataclass(frozen=True)
class Step:
    """One mapping of values; ``numbers`` are empty for a ``minmax`` whose range is not known yet.

    Raises:
        ValueError: there is no such mapping; the text says what is wrong.
    """

    name: str
    numbers: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        count = _NUMBERS.get(self.name)
        if count is None:
            raise ValueError(f"{self.name!r} is none of {', '.join(_NUMBERS)}")
        open_range = self.name == "minmax" and not self.numbers
        if not open_range and (
            len(self.numbers) != count or not all(map(math.isfinite, self.numbers))
        ):
            raise ValueError(f"{self.name} takes {count} finite numbers, not {self.numbers}")
        wrong = (
            (self.name in ("log10", "symlog") and not self.numbers[0] > 0)
            or (self.name == "scale" and not self.numbers[0])
            or (self.name == "minmax" and self.numbers and not self.numbers[0] < self.numbers[1])
        )
        if wrong:
            raise ValueError(f"{self} cannot be undone")

    @classmethod
    def parse(cls, text: str) -> Step:
        """Return the step that a word names, such as "scale:2,-1"."""
        name, _, numbers = text.partition(":")
        try:
            values = tuple(map(float, numbers.split(","))) if numbers else ()
        except ValueError:
            raise ValueError(f"{text!r}: {numbers!r} are no numbers") from None
        return cls(name, values)

    def __str__(self) -> str:
        """Return the word that ``parse`` reads."""
        numbers = ",".join(map(_text, self.numbers))
        return f"{self.name}:{numbers}" if numbers else self.name

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the mapped values, float64."""
        x = np.asarray(x, np.float64)
        if self.name == "identity":
            return x
        first = self.numbers[0]
        if self.name == "scale":
            return first * x + self.numbers[1]
        if self.name == "log10":
            return np.log10(np.maximum(x, first))
        if self.name == "symlog":
            return np.sign(x) * np.log1p(np.abs(x) / first) / math.log(10)
        return 2 * (x - first) / (self.numbers[1] - first) - 1

    def inverse(self, y: np.ndarray) -> np.ndarray:
        """Return the values that ``forward`` mapped to ``y``, float64."""
        y = np.asarray(y, np.float64)
        if self.name == "identity":
            return y
        first = self.numbers[0]
        if self.name == "scale":
            return (y - self.numbers[1]) / first
        if self.name == "log10":
            # float32 has rounded what was at the floor.
            lowest = math.log10(first)
            return np.where(y > lowest + 1e-6 * max(1.0, abs(lowest)), 10.0**y, 0.0)
        if self.name == "symlog":
            return np.sign(y) * np.expm1(np.abs(y) * math.log(10)) * first
        return (y + 1) / 2 * (self.numbers[1] - first) + first


def _text(number: float) -> str:
    """Return the shortest usual text of a number that is read as the same."""
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


Values = tuple[Step, ...]


def parse(text: str) -> Values:
    """Return the steps of the attribute ``values``, none of "".

    Raises:
        ValueError: a word names no step, or one whose numbers are missing.
    """
    values = tuple(map(Step.parse, text.split()))
    for step in values:
        if step.name == "minmax" and not step.numbers:
            raise ValueError("minmax is without its two numbers")
    return values


def as_text(values: Values) -> str:
    """Return the text that ``parse`` reads."""
    return " ".join(map(str, values))


def forward(values: Values, x: np.ndarray) -> np.ndarray:
    """Return mapped samples, float64."""
    for step in values:
        x = step.forward(x)
    return x


def inverse(values: Values, y: np.ndarray) -> np.ndarray:
    """Return samples in the units of their source, float32; ``y`` itself without any step."""
    if not values:
        return y
    with np.errstate(over="ignore"):  # beyond float32 is infinity, which whoever looks will see
        for step in reversed(values):
            y = step.inverse(y)
        return y.astype(np.float32)
