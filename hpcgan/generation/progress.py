"""How far the samples are: a bar on a terminal, else a line every 10 s; by rank 0."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from tqdm import tqdm

from hpcgan.generation.producer import Block
from hpcgan.terminal import is_watched

_SECONDS = 10.0  # between two lines


class Progress:
    """The samples that this process makes, counted.

    Attributes:
        made: samples so far.
        seconds: since it was made.
    """

    def __init__(self, total: int, whose: str, is_shown: bool) -> None:
        """Begin with none.

        Args:
            total: that are to be made.
            whose: follows the numbers, such as " by rank 0 of 4"; "" for all.
            is_shown: whether anything is printed.
        """
        self._total, self._whose, self._is_shown = total, whose, is_shown
        self._bar = tqdm(
            total=total, unit=" samples", unit_scale=True, disable=not (is_shown and is_watched())
        )
        self.made = 0
        self._begun = self._told = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._begun

    def counted(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Yield blocks, and count those that have been used."""
        for block in blocks:
            yield block
            self.advance(len(block[0]))

    def advance(self, samples: int) -> None:
        """Count some more."""
        self.made += samples
        self._bar.update(samples)
        now = time.monotonic()
        if self._is_shown and self._bar.disable and now - self._told >= _SECONDS:
            self._told = now
            print(
                f"hpcgan: {self.made} of {self._total} samples{self._whose}, "
                f"{self.made / self.seconds:.0f} per second",
                flush=True,
            )

    def close(self) -> None:
        """Leave the terminal as it is."""
        self._bar.close()
