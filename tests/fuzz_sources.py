"""Damaged sources of every format that ``convert`` reads: each ends in one line or in right pixels.

    python -m tests.fuzz_sources --files 5000 --seed 0

A source of each format is made, damaged in one of many ways and converted. What is written must be
what an independent reader (NumPy, Pillow, TensorFlow, the standard library) finds in the damaged
source, or what was in the whole one. Prints a table and exits with 1 if anything hung, crashed,
raised another exception or was written wrongly without a word.
"""

from __future__ import annotations

import json
import resource
import shutil
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import h5py
import numpy as np

from data_tools import convert
from data_tools.conversion import Conversion
from hpcgan import hdf5
from hpcgan.errors import UserError
from hpcgan.world import World
from tests.fuzz_files import mutate
from tests.fuzz_formats import FORMATS, Content, is_same
from tests.fuzzing import Counts, Worker, run

RESULTS = ("error", "right", "WRONG", "exception", "hang", "crash")
BAD = RESULTS[2:]
# What is allowed for a source; one takes some milliseconds.
_BYTES = 4 * 2**30
_READER_SECONDS, _READER_BYTES = 2.0, 2**29


def work() -> None:
    """Convert the sources that the lines of stdin name, and print what came of each."""
    resource.setrlimit(resource.RLIMIT_AS, (_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    hdf5.of_this_rank = hdf5.Hdf5Process(_READER_SECONDS, _READER_BYTES)
    world = World()
    for line in sys.stdin:
        kind, source, whole = json.loads(line)
        print(json.dumps(_result(kind, Path(source), Path(whole), world)), flush=True)


def _result(kind: str, source: Path, whole: Path, world: World) -> tuple[str, str]:
    """Return what comes of converting a source, and the message."""
    out = source.parent / "out.h5"
    try:
        convert.convert(out, Conversion(source, **FORMATS[kind].options), world)
    except UserError as error:
        message = str(error)
        is_ours = source.name in message and "\n" not in message
        return ("error" if is_ours else "exception"), message
    except Exception as error:
        return "exception", f"{type(error).__name__}: {error}"
    with h5py.File(out) as file:
        found: Content = (file["images"][:], file["labels"][:] if "labels" in file else None)
    try:
        expected = FORMATS[kind].read(source)
    except Exception as error:
        expected = None
        why = f"an independent reader: {type(error).__name__}: {error}"
    else:
        why = "an independent reader finds something else"
    if is_same(found, expected) or is_same(found, _whole(kind, whole)):
        return "right", ""
    return "WRONG", why


@cache
def _whole(kind: str, source: Path) -> Content:
    """Return what is in the source that has not been damaged."""
    return FORMATS[kind].read(source)


def fuzz(directory: Path, files: int, seed: int) -> tuple[Counts, list[str]]:
    """Make, damage and convert sources.

    Returns:
        The counts of results by format, and what is to be looked at.
    """
    chance = np.random.default_rng(seed)
    counts: Counts = {kind: Counter() for kind in FORMATS}
    odd = []
    worker = Worker("tests.fuzz_sources")
    whole = {kind: made.make(directory / "whole" / kind) for kind, made in FORMATS.items()}
    for number in range(files):
        kind = list(FORMATS)[number % len(FORMATS)]
        place = directory / f"{number}"
        source = _damaged(whole[kind], place, chance)
        result, message = worker.result(kind, str(source), str(whole[kind]))
        counts[kind][result] += 1
        if result in BAD:
            odd.append(f"{source} ({kind}): {result}: {message}")
        else:
            shutil.rmtree(place)
    worker.close()
    return counts, odd


def _damaged(whole: Path, place: Path, chance: np.random.Generator) -> Path:
    """Return a copy of a source, of which one file is damaged."""
    shutil.copytree(whole.parent, place)
    source = place / whole.name
    files = sorted(p for p in place.rglob("*") if p.is_file())
    file = files[chance.integers(len(files))]
    content, _ = mutate(file.read_bytes(), chance)
    file.unlink()  # it may be a link
    file.write_bytes(content)
    return source


def table(counts: Counts) -> str:
    """Return the counts as text."""
    lines = [f"{'format':<26}" + "".join(f"{name:>12}" for name in ("sources", *RESULTS))]
    total: Counter[str] = Counter()
    for kind, found in {**counts, "all": total}.items():
        numbers = [found.total(), *(found[name] for name in RESULTS)]
        lines.append(f"{kind:<26}" + "".join(f"{number:>12}" for number in numbers))
        if kind != "all":
            total.update(found)
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run(__doc__, work, fuzz, table))
