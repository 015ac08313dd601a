"""What ``generate`` must know of the data beyond shape and dtype; a checkpoint keeps it as text."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from hpcgan.data import values as mappings
from hpcgan.data.values import Values
from hpcgan.terminal import printable

# Classes up to which a checkpoint keeps how many samples each has.
MOST_COUNTED = 100_000
_NAMED = 10  # of classes that have no sample


@dataclass(frozen=True)
class SampleInfo:
    """How samples were mapped, and their classes.

    Attributes:
        values: the mapping from the units of the source, as text (``hpcgan.data.values``).
        names: of the classes 0, 1, ...; none if they have none.
        counts: the samples of each class; none for networks without classes, for too many of them
            (``MOST_COUNTED``), and of a checkpoint from before they were kept.

    Raises:
        ValueError: ``values`` names no mapping.
    """

    values: str = ""
    names: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        mappings.parse(self.values)

    @classmethod
    def parse(cls, text: str) -> SampleInfo:
        """Return what ``as_text`` gave.

        Raises:
            ValueError: the text, which may be anybody's, is not of it.
        """
        try:
            found = json.loads(text)
        except RecursionError:
            raise ValueError("lists within lists") from None
        if not isinstance(found, dict) or found.keys() != {"values", "names", "counts"}:
            raise ValueError("other keys")
        values, names, counts = found["values"], found["names"], found["counts"]
        are_names = isinstance(names, list) and all(isinstance(each, str) for each in names)
        are_counts = isinstance(counts, list) and all(
            type(each) is int and 0 <= each < 2**63 for each in counts
        )
        if not (isinstance(values, str) and are_names and are_counts):
            raise ValueError("other types")
        if counts and not any(counts):
            raise ValueError("no class has samples")
        "".join([values, *names]).encode()  # what is no text is a ValueError
        return cls(values, tuple(names), tuple(counts))

    def as_text(self) -> str:
        """Return the text that ``parse`` reads."""
        return json.dumps({"values": self.values, "names": self.names, "counts": self.counts})

    @property
    def mapping(self) -> Values:
        """The steps by which the samples were mapped."""
        return mappings.parse(self.values)

    def name_of(self, label: int) -> str:
        """Return the number of a class, with its name if it has one."""
        if label >= len(self.names):
            return str(label)
        name = printable(self.names[label]).replace("\n", " ")
        return f"{label} ({name})"

    def empty_classes(self) -> str:
        """Return in words which classes no sample has; "" for none."""
        empty = np.flatnonzero(np.array(self.counts) == 0).tolist()
        if not empty:
            return ""
        more = f" and {len(empty) - _NAMED} more" if len(empty) > _NAMED else ""
        some = ", ".join(map(self.name_of, empty[:_NAMED]))
        return (
            f"no sample has {len(empty)} of the {len(self.counts)} classes: {some}{more}; they are "
            "not learnt, and generate leaves them out"
        )
