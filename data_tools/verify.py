"""The command ``verify``: read every chunk of data files and list what is wrong with them.

Samples of one value and exact copies may be meant, so they are noted and are no problem.

HDF5 may crash or never return on damaged files, where no Python code can catch it. So another
process reads them, with the functions of ``check_file``; if a file kills it, that is the problem.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data_tools import check_file
from hpcgan.errors import DataError, RunError
from hpcgan.files import check_is_file
from hpcgan.hdf5 import Hdf5Error, call
from hpcgan.terminal import printable
from hpcgan.world import World

_MOST = 20  # problems of one kind that are listed
_FIRST = 3  # exact copies that are named
_PLACES = 2**40  # more samples than a file has
_WRONG = {
    "not_finite": "values that are not finite",
    "fill": "fill values, which stand for missing ones",
}


def verify(world: World, files: list[str], images: str, labels: str | None) -> None:
    """Check files and print a line for each problem, or that there is none.

    The ranks share the files. All ranks must call it, with the same arguments.

    Raises:
        RunError: something is wrong with a file (on all ranks).
    """
    own, copies = [], [np.zeros((0, 2), np.uint64)]
    for number in range(world.rank, len(files), world.size):
        found, hashes = check(files[number], images, labels)
        own.append(found)
        hashes[:, 0] += np.uint64(number * _PLACES)
        copies.append(hashes)
    parts = world.gather_json(own)
    every = [parts[n % world.size][n // world.size] for n in range(len(files))]
    _compare(files, every)
    hashes_of_all = world.gather_arrays(np.concatenate(copies))
    if hashes_of_all is not None:
        for file, each in zip(files, every, strict=True):
            lines = each["problems"] or [f"ok: {each['samples']} samples, {_describe(each)}"]
            for line in lines + each["notes"]:
                print(f"{file}: {line}", flush=True)
        for line in _copies(files, hashes_of_all):
            print(line, flush=True)
    problems = sum(len(each["problems"]) for each in every)
    if problems:
        text = f"{problems} problem{'s' if problems > 1 else ''} in {len(files)} files"
        raise RunError(text, on_all_ranks=True)


def _compare(files: list[str], every: list[dict[str, Any]]) -> None:
    """Note files whose samples are not of the first file's kind."""
    first = next((each for each in every if each["shape"]), None)
    for each in every:
        if first and each["shape"] and _describe(each) != _describe(first):
            other = files[every.index(first)]
            each["problems"].append(
                f"holds {_describe(each)}, but {other} {_describe(first)}; all files must agree"
            )


def _copies(files: list[str], hashes: np.ndarray) -> Iterator[str]:
    """Yield a line about samples that are exact copies of earlier ones, if there are any.

    ``hashes`` are (samples, 2): a sample's place, file * _PLACES + sample, and its hash.
    """
    hashes = hashes[np.argsort(hashes[:, 0])]
    _, firsts, inverse = np.unique(hashes[:, 1], return_index=True, return_inverse=True)
    originals = firsts[inverse]
    copies = np.flatnonzero(originals != np.arange(len(hashes)))
    if not len(copies):
        return

    def place(row: int) -> str:
        file, sample = divmod(int(hashes[row, 0]), _PLACES)
        return f"{files[file]} {sample}"

    pairs = [f"{place(row)} of {place(originals[row])}" for row in copies[:_FIRST]]
    more = ", ..." if len(copies) > _FIRST else ""
    yield f"note: exact copies of other samples: {len(copies)} ({', '.join(pairs)}{more})"


def _describe(found: dict[str, Any]) -> str:
    """Return what a file's samples are."""
    labels = f" with labels {found['labels']}" if found["labels"] else ""
    return f"{tuple(found['shape'])} {found['dtype']}{labels}"


def check(file: str, images: str, labels: str | None) -> tuple[dict[str, Any], np.ndarray]:
    """Have the process that reads HDF5 look at all of a file.

    Returns:
        ``problems`` and ``notes``, lists of texts; ``samples``, ``shape`` of one, ``dtype``, and
        ``labels``, their dtype, as far as they are known. Then the samples that can be read,
        uint64 (n, 2): the number of each and its hash.
    """
    found: dict[str, Any] = {"problems": [], "samples": 0, "shape": None, "dtype": "", "labels": ""}
    looked = _Looked()
    problems = list(_problems(file, images, labels, found, looked))
    found["problems"] = [printable(" ".join(each.split())) for each in problems]
    found["notes"] = looked.notes(images)
    return found, np.concatenate([np.zeros((0, 2), np.uint64), *looked.hashes])


@dataclass
class _Looked:
    """What is known of the samples of a file that is no problem."""

    hashes: list[np.ndarray] = field(default_factory=list)
    constant: list[int] = field(default_factory=list)

    def notes(self, images: str) -> list[str]:
        """Return the texts about it."""
        if not self.constant:
            return []
        return [
            f"note: samples of '{images}' with a single value in all places: "
            f"{len(self.constant)}, the first is {self.constant[0]}"
        ]


def _problems(
    file: str, images: str, labels: str | None, found: dict[str, Any], looked: _Looked
) -> Iterator[str]:
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
        yield from _wrong_values(file, images, known["samples"], known["step"], looked)
    if labels or known["has_labels"]:
        yield from _wrong_labels(file, labels or "labels", found)


def _wrong_values(
    file: str, images: str, samples: int, step: int, looked: _Looked
) -> Iterator[str]:
    """Yield what is wrong with a file's samples, at most ``_MOST`` problems of a kind."""
    counts = dict.fromkeys(("unreadable", *_WRONG), 0)
    for first in range(0, samples, step):
        stop = min(first + step, samples)
        try:
            wrong, (numbers, hashes) = call(check_file.values, file, images, first, stop)
        except (Hdf5Error, DataError) as error:  # what HDF5 does not survive it will not again
            yield f"samples {first} to {stop - 1} of '{images}': {error}; no more of them are read"
            return
        for begin, last, reason in wrong["unreadable"][: max(0, _MOST - counts["unreadable"])]:
            yield f"samples {begin} to {last} of '{images}': {reason}"
        for kind, text in _WRONG.items():
            for sample in wrong[kind][: max(0, _MOST - counts[kind])]:
                yield f"sample {sample} of '{images}' holds {text}"
        for kind in counts:
            counts[kind] += len(wrong[kind])
        looked.constant += wrong["constant"]
        looked.hashes.append(np.stack([numbers.astype(np.uint64), hashes], axis=1))
    if max(counts.values()) > _MOST:
        yield (
            f"'{images}': {counts['unreadable']} chunks are unreadable, {counts['not_finite']} "
            f"samples not finite, {counts['fill']} with fill values, in all"
        )


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
