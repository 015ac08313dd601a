"""The command ``verify``: read every chunk of data files and list what is wrong with them.

HDF5 may crash or never return on damaged files, where no Python code can catch it. So another
process reads them, with the functions of ``check_file``; if a file kills it, that is the problem.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_tools import check_file
from hpcgan.errors import DataError, RunError
from hpcgan.files import check_is_file
from hpcgan.hdf5 import Hdf5Error, call
from hpcgan.terminal import printable
from hpcgan.world import World

_MOST = 20  # problems of one kind that are listed


def verify(world: World, files: list[str], images: str, labels: str | None) -> None:
    """Check files and print a line for each problem, or that there is none.

    The ranks share the files. All ranks must call it, with the same arguments.

    Raises:
        RunError: something is wrong with a file (on all ranks).
    """
    own = [check(file, images, labels) for file in files[world.rank :: world.size]]
    parts = world.gather_json(own)
    found = [parts[n % world.size][n // world.size] for n in range(len(files))]
    problems = 0
    first = next((each for each in found if each["shape"]), None)
    for file, each in zip(files, found, strict=True):
        if first and each["shape"] and _describe(each) != _describe(first):
            other = files[found.index(first)]
            each["problems"].append(
                f"holds {_describe(each)}, but {other} {_describe(first)}; all files must agree"
            )
        problems += len(each["problems"])
        if world.is_root:
            lines = each["problems"] or [f"ok: {each['samples']} samples, {_describe(each)}"]
            for line in lines:
                print(f"{file}: {line}", flush=True)
    if problems:
        error = RunError(f"{problems} problem{'s' if problems > 1 else ''} in {len(files)} files")
        error.on_all_ranks = True
        raise error


def _describe(found: dict[str, Any]) -> str:
    """Return what a file's samples are."""
    labels = f" with labels {found['labels']}" if found["labels"] else ""
    return f"{tuple(found['shape'])} {found['dtype']}{labels}"


def check(file: str, images: str, labels: str | None) -> dict[str, Any]:
    """Have the process that reads HDF5 look at all of a file.

    Returns:
        ``problems``, a list of texts; ``samples``, ``shape`` of one, ``dtype``, and ``labels``,
        their dtype, as far as they are known.
    """
    found: dict[str, Any] = {"problems": [], "samples": 0, "shape": None, "dtype": "", "labels": ""}
    problems = list(_problems(file, images, labels, found))
    return found | {"problems": [printable(" ".join(each.split())) for each in problems]}


def _problems(file: str, images: str, labels: str | None, found: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a file, and note in ``found`` what is known of it."""
    try:
        check_is_file(Path(file), "file", DataError)
        known, _ = call(check_file.samples, file, images)
    except DataError as error:
        yield str(error).removeprefix(f"{file}: ")
        return
    except Hdf5Error as error:
        yield f"not readable as HDF5: {error}"
        return
    yield from known["problems"]
    if "samples" not in known:
        return
    found |= {key: known[key] for key in ("samples", "shape", "dtype")}
    if "step" in known:
        yield from _wrong_values(file, images, known["samples"], known["step"])
    if labels or known["has_labels"]:
        yield from _wrong_labels(file, labels or "labels", found)


def _wrong_values(file: str, images: str, samples: int, step: int) -> Iterator[str]:
    """Yield what is wrong with a file's samples, at most ``_MOST`` problems of a kind."""
    unreadable = bad = 0
    for first in range(0, samples, step):
        stop = min(first + step, samples)
        try:
            wrong, _ = call(check_file.values, file, images, first, stop)
        except (Hdf5Error, DataError) as error:  # what HDF5 does not survive it will not again
            yield f"samples {first} to {stop - 1} of '{images}': {error}; no more of them are read"
            return
        for begin, last, reason in wrong["unreadable"][: max(0, _MOST - unreadable)]:
            yield f"samples {begin} to {last} of '{images}': {reason}"
        for sample in wrong["not_finite"][: max(0, _MOST - bad)]:
            yield f"sample {sample} of '{images}' holds values that are not finite"
        unreadable += len(wrong["unreadable"])
        bad += len(wrong["not_finite"])
    if max(unreadable, bad) > _MOST:
        yield f"'{images}': {unreadable} chunks are unreadable, {bad} samples not finite, in all"


def _wrong_labels(file: str, name: str, found: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a file's labels, and note their dtype in ``found``."""
    try:
        known, _ = call(check_file.labels, file, name, found["samples"])
    except DataError as error:
        yield str(error).removeprefix(f"{file}: ")
    except Hdf5Error as error:
        yield f"'{name}' cannot be read: {error}"
    else:
        found["labels"] = known["labels"]
        yield from known["problems"]
