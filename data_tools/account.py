"""What becomes of a source's samples: what ``convert`` says at the end, so that nothing is silent.

Each thing is counted under a text that says what was done or left out and why, with the names of
the first ones. Opening a source is the same on all ranks; what is noted while it is read, each rank
notes of its own samples, and ``gather`` puts together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from hpcgan.terminal import printable
from hpcgan.world import World

BROKEN = "cannot be read"  # the reason of what --skip-broken leaves out
_FIRST = 3  # names that are shown of each thing


class Account:
    """What was done with a source, and what of it was left out.

    Attributes:
        left_out: the names, by reason.
        low: the least value that was written; with ``high`` the range of the values.
        high: the largest.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._is_muted = False
        self._forget()

    def _forget(self) -> None:
        self.left_out: dict[str, list[str]] = {}
        self._notes: dict[str, tuple[int, list[str]]] = {}
        self.low, self.high = np.inf, -np.inf

    def note(self, what: str, name: str = "", count: int = 1) -> None:
        """Note that something was done with ``count`` samples, of which ``name`` is the first."""
        if self._is_muted:
            return
        before, names = self._notes.get(what, (0, []))
        if name and len(names) < _FIRST:
            names = [*names, name]
        self._notes[what] = before + count, names

    def note_all(self, what: str, names: Sequence[str]) -> None:
        """Note that something was done with each of some samples, if there are any."""
        for name in names:
            self.note(what, name)

    @contextmanager
    def muted(self) -> Iterator[None]:
        """Note nothing inside, where samples are read that will be read again."""
        self._is_muted = True
        try:
            yield
        finally:
            self._is_muted = False

    def leave_out(self, why: str, name: str) -> None:
        """Note that something is left out."""
        self.left_out.setdefault(why, []).append(name)

    def see(self, values: np.ndarray) -> None:
        """Note the range of samples that are written."""
        self.low, self.high = min(self.low, values.min()), max(self.high, values.max())

    def keep_on_root(self, world: World) -> None:
        """Forget on other ranks what all have noted alike, when the source has been opened."""
        if not world.is_root:
            self._forget()

    def gather(self, world: World) -> None:
        """Add up on all ranks what each has noted. All ranks must call it."""
        own = [self._notes, self.left_out, float(self.low), float(self.high)]
        every: list[list[Any]] = world.gather_json(own)
        self._forget()
        for notes, left_out, low, high in every:
            self.low, self.high = min(self.low, low), max(self.high, high)
            for why, names in left_out.items():
                self.left_out.setdefault(why, []).extend(names)
            for what, (count, names) in notes.items():
                before, first = self._notes.get(what, (0, []))
                self._notes[what] = before + count, [*first, *names][:_FIRST]

    def lines(self) -> list[str]:
        """Return what to say, a line a thing."""
        lines = [_line(what, count, names) for what, (count, names) in self._notes.items()]
        return lines + self.left_out_lines()

    def left_out_lines(self) -> list[str]:
        """Return the lines about what is left out."""
        return [_line(f"left out: {why}", len(n), n[:_FIRST]) for why, n in self.left_out.items()]


def _line(what: str, count: int, names: list[str]) -> str:
    """Return a line of a thing, its number and first names."""
    if not names:
        return printable(f"{what}" if count == 1 else f"{what}: {count}")
    shown = ", ".join(name.replace("\n", "\\n") for name in names)
    return printable(f"{what}: {count} ({shown}{', ...' if count > len(names) else ''})")
