"""Damaged checkpoints and data files: each must end in our error or in a right read.

``python -m tests.fuzz --files 5000 --seed 0`` makes files, damages each in one of many ways, has
processes read them as a run does, every second data file also as ``hpcgan-data`` does, prints a
table of what came of it and exits with 1 if anything hung, crashed, raised another exception or
gave wrong content without a word. HDF5's description of a file and samples that are not gzip have
no checksum: differences that come from them are counted as undetectable, and so is what was sealed
again after it was damaged.
"""

from __future__ import annotations

import json
import resource
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hpcgan import hdf5
from hpcgan.errors import UserError
from tests import fuzz_reads
from tests.fuzz_files import KINDS, make_cases
from tests.fuzzing import Counts, Worker, run

RESULTS = ("error", "correct", "undetectable", "WRONG", "exception", "hang", "crash")
BAD = RESULTS[3:]
# What is allowed for a file; a read takes some milliseconds.
_READER_SECONDS, _READER_BYTES = 2.0, 2**29
_BYTES = 3 * 2**30


def work() -> None:
    """Read the files that the lines of stdin name, and print what came of each."""
    resource.setrlimit(resource.RLIMIT_AS, (_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    hdf5.of_this_rank = hdf5.Hdf5Process(_READER_SECONDS, _READER_BYTES)
    ways = fuzz_reads.TOOLS | {"run": fuzz_reads.by_a_run}
    expected: dict[tuple[str, str], object] = {}
    for line in sys.stdin:
        way, path, whole, is_covered = json.loads(line)
        if (way, whole) not in expected:
            expected[way, whole] = ways[way](whole)
        result = _result(ways[way], path, expected[way, whole], is_covered)
        print(json.dumps(result), flush=True)


def _result(
    read: Callable[[str], object], path: str, expected: object, is_covered: bool
) -> tuple[str, str]:
    """Return what comes of reading a file, and the message."""
    try:
        found = read(path)
    except UserError as error:
        message = str(error)
        is_ours = path in message and "\n" not in message
        return ("error" if is_ours else "exception"), message
    except Exception as error:
        return "exception", f"{type(error).__name__}: {error}"
    if found == expected:
        return "correct", ""
    return ("WRONG" if is_covered else "undetectable"), "another content"


def fuzz(directory: Path, files: int, seed: int) -> tuple[Counts, list[str]]:
    """Make, damage and read files.

    Returns:
        The counts of results by kind and by tool, and what is to be looked at.
    """
    counts: Counts = {row: Counter() for row in (*KINDS, *fuzz_reads.TOOLS)}
    odd = []
    worker = Worker("tests.fuzz")
    for case in make_cases(directory, files, seed):
        is_odd = False
        for way in ("run", *(fuzz_reads.TOOLS if case.is_for_tools else ())):
            result, message = worker.result(way, case.path, case.whole, case.is_covered)
            count = counts[case.kind if way == "run" else way]
            # That HDF5 died of a file is no failure; it tells that the process is needed.
            for sign, name in (("HDF5 crashes", "HDF5 crashed"), ("does not return", "HDF5 hung")):
                count[name] += sign in message
            count[result] += 1
            if result in BAD:
                is_odd = True
                odd.append(f"{case.path} ({case.kind}, {way}): {result}: {message}")
        if not is_odd:
            Path(case.path).unlink()
    worker.close()
    return counts, odd


def table(counts: Counts) -> str:
    """Return the counts as text."""
    names = ("reads", *RESULTS, "HDF5 crashed", "HDF5 hung")
    lines = [f"{'kind':<26}" + "".join(f"{name:>14}" for name in names)]
    total: Counter[str] = Counter()
    for kind, found in counts.items():
        found["reads"] = sum(found[name] for name in RESULTS)
        total.update(found)
        lines.append(f"{kind:<26}" + "".join(f"{found[name]:>14}" for name in names))
    lines.append(f"{'all':<26}" + "".join(f"{total[name]:>14}" for name in names))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(run(__doc__, work, fuzz, table))
