"""Damaged checkpoints and data files: each must end in our error or in a right read.

``python -m tests.fuzz --files 5000 --seed 0`` makes files, damages each in one of many ways, has
processes read them, prints a table of what came of it and exits with 1 if anything hung, crashed,
raised another exception or gave wrong content without a word. HDF5's description of a file and
samples that are not gzip have no checksum: differences that come from them are counted as
undetectable, and so is what was sealed again after it was damaged.
"""

from __future__ import annotations

import argparse
import json
import resource
import select
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from hpcgan import checkpoint, hdf5
from hpcgan.config import Config, DataConfig
from hpcgan.data.chunks import ChunkReader
from hpcgan.data.source import Source, _header_or_error, _join
from hpcgan.errors import UserError
from hpcgan.files import USER_BLOCK

RESULTS = ("error", "correct", "undetectable", "WRONG", "exception", "hang", "crash")
BAD = RESULTS[3:]
# What is allowed for a file; a read takes some milliseconds.
_READER_SECONDS, _READER_BYTES = 2.0, 2**29
# Longer than the reader's tenfold on the clock, and than a busy machine takes to start one.
_SECONDS, _BYTES = 120.0, 3 * 2**30

SHAPE = (8, 8, 1)
COUNT = 24
LAYOUTS = {
    "contiguous": {},
    "chunked": {"chunks": (5, *SHAPE)},
    "gzip": {"chunks": (5, *SHAPE), "compression": "gzip"},
    "shuffle+gzip": {"chunks": (5, *SHAPE), "compression": "gzip", "shuffle": True},
    "lzf": {"chunks": (5, *SHAPE), "compression": "lzf"},
    "parts, gzip": {"chunks": (5, 4, 8, 1), "compression": "gzip"},
    "newest format": {"chunks": (5, *SHAPE), "compression": "gzip"},
}
KINDS = ("checkpoint", "checkpoint, sealed again", *LAYOUTS, "virtual")


@dataclass(frozen=True)
class Case:
    """A file to read.

    Attributes:
        kind: one of KINDS.
        path: the damaged file.
        whole: the file that it was made from.
        is_covered: whether only bytes that a checksum covers were damaged.
    """

    kind: str
    path: str
    whole: str
    is_covered: bool


def make_whole(directory: Path) -> dict[str, Path]:
    """Write an undamaged file of each kind."""
    chance = np.random.default_rng(0)
    images = (chance.random((COUNT, *SHAPE)) * 40).astype(np.float32).round()
    labels = np.arange(COUNT) % 7
    files = {}
    for kind, options in LAYOUTS.items():
        files[kind] = directory / f"{kind}.h5"
        version = "latest" if kind == "newest format" else "earliest"
        with h5py.File(files[kind], "w", libver=version) as file:
            file.create_dataset("images", data=images, **options)
            compressed = {"chunks": (7,), "compression": "gzip"} if "gzip" in kind else {}
            file.create_dataset("labels", data=labels, **compressed)
    layout = h5py.VirtualLayout(images.shape, images.dtype)
    layout[:] = h5py.VirtualSource(str(files["gzip"]), "images", shape=images.shape)
    files["virtual"] = directory / "virtual.h5"
    with h5py.File(files["virtual"], "w") as file:
        file.create_virtual_dataset("images", layout)
        file["labels"] = labels
    path = directory / "checkpoint.h5"
    named = {f"layer_{n}/kernel": chance.random((4, 5)).astype(np.float32) for n in range(3)}
    checkpoint.write(
        checkpoint.Checkpoint(
            path=path,
            step=7,
            images=448,
            config=Config(data=DataConfig(files=["a.h5"], shards=1)),
            sample_shape=SHAPE,
            dtype="uint8",
            groups={group: named | {"step": np.array(7)} for group in checkpoint.GROUPS},
        )
    )
    return files | {"checkpoint": path, "checkpoint, sealed again": path}


def mutate(content: bytes, chance: np.random.Generator) -> tuple[bytes, range]:
    """Return content that differs, and the range of bytes in which it does."""
    while True:
        damaged, where = _damage(content, chance)
        if damaged != content:
            return damaged, where


def _damage(content: bytes, chance: np.random.Generator) -> tuple[bytes, range]:
    """Return content damaged in one of many ways, which may leave it as it was, and where."""
    size = len(content)
    place = int(chance.integers(size))
    length = min(int(chance.integers(1, 64)), size - place)
    way = chance.choice(["bit", "bytes", "cut", "insert", "swap", "number", "number", "numbers"])
    damaged = bytearray(content)
    if way == "bit":
        damaged[place] ^= 1 << int(chance.integers(8))
        return bytes(damaged), range(place, place + 1)
    if way == "bytes":
        fill = chance.choice([0, 255, -1])
        new = chance.bytes(length) if fill < 0 else bytes([fill]) * length
        damaged[place : place + length] = new
        return bytes(damaged), range(place, place + length)
    if way == "cut":
        return content[:place], range(size)
    if way == "insert":
        return content[:place] + chance.bytes(length) + content[place:], range(size)
    if way == "swap":
        other = int(chance.integers(size - length + 1))
        damaged[place : place + length] = content[other : other + length]
        damaged[other : other + length] = content[place : place + length]
        return bytes(damaged), range(min(place, other), max(place, other) + length)
    # Shapes, sizes and addresses are integers of 4 or 8 bytes, most of them aligned.
    for _ in range(1 if way == "number" else 4):
        width = int(chance.choice([2, 4, 8]))
        place = int(chance.integers(0, size // width)) * width
        damaged[place : place + width] = _number(width, content, place, chance)
    return bytes(damaged), range(place, place + width) if way == "number" else range(size)


def _number(width: int, content: bytes, place: int, chance: np.random.Generator) -> bytes:
    """Return an integer that is huge, tiny, or near the one that is there."""
    most = 2 ** (8 * width) - 1
    there = int.from_bytes(content[place : place + width], "little")
    values = [0, 1, most, most // 2, most // 2 + 1, most - 7, 2**31, 2**32, 10**15, 2**62]
    values += [there + 1, there - 1, there * 2, there << 16, len(content), len(content) - 8]
    return (values[int(chance.integers(len(values)))] & most).to_bytes(width, "little")


def make_cases(directory: Path, files: int, seed: int) -> list[Case]:
    """Write damaged files."""
    whole = make_whole(directory)
    contents = {kind: path.read_bytes() for kind, path in whole.items()}
    chunks = {kind: _covered(path) for kind, path in whole.items()}
    cases = []
    for number in range(files):
        chance = np.random.default_rng([seed, number])
        kind = KINDS[number % len(KINDS)]
        damaged, where = mutate(contents[kind], chance)
        if kind == "checkpoint, sealed again":
            damaged, where = mutate(contents[kind][USER_BLOCK:], chance)
            damaged = checkpoint._seal(memoryview(damaged)) + damaged
        covered = any(
            chunk.start <= where.start and where.stop <= chunk.stop for chunk in chunks[kind]
        )
        path = directory / f"{number:06d}.h5"
        path.write_bytes(damaged)
        cases.append(Case(kind, str(path), str(whole[kind]), kind == "checkpoint" or covered))
    return cases


def _covered(path: Path) -> list[range]:
    """Return where a file's gzip chunks are, each of which has a checksum."""
    ranges = []
    with h5py.File(path) as file:
        for name in {"images", "labels"} & set(file):
            array = file[name]
            if array.compression == "gzip":
                found = [array.id.get_chunk_info(n) for n in range(array.id.get_num_chunks())]
                ranges += [range(c.byte_offset, c.byte_offset + c.size) for c in found]
    return ranges


def read(path: str) -> object:
    """Return all that a run takes from a file, so that two can be compared."""
    if Path(path).read_bytes().startswith(checkpoint.FORMAT.encode()[:6]):
        return _read_checkpoint(path)
    try:
        return _read_data(path)
    except UserError:
        _read_checkpoint(path)  # a checkpoint may have lost its first bytes
        raise


def _read_checkpoint(path: str) -> object:
    found = checkpoint.read(Path(path))
    arrays = {
        f"{group}/{name}": (array.dtype.str, array.shape, array.tobytes())
        for group, named in found.groups.items()
        for name, array in named.items()
    }
    return found.step, found.images, found.config, found.sample_shape, found.dtype, arrays


def _read_data(path: str) -> object:
    data = DataConfig(files=[path], labels="labels")
    source: Source = _join([path], [_header_or_error(path, data)], data)
    reader = ChunkReader(source, [0])
    labels = source.read_labels()
    images = [
        reader.read(range(int(begin), int(end))).tobytes()
        for begin, end in zip(source.edges[:-1], source.edges[1:], strict=True)
    ]
    kind = (source.sample_shape, source.dtype, len(source), labels.dtype.str)
    return kind, labels.tobytes(), b"".join(images)


def work() -> None:
    """Read the files that the lines of stdin name, and print what came of each."""
    resource.setrlimit(resource.RLIMIT_AS, (_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))
    hdf5._process = hdf5.Hdf5Process(_READER_SECONDS, _READER_BYTES)
    expected: dict[str, object] = {}
    for line in sys.stdin:
        path, whole, is_covered = json.loads(line)
        if whole not in expected:
            expected[whole] = read(whole)
        print(json.dumps(_result(path, expected[whole], is_covered)), flush=True)


def _result(path: str, expected: object, is_covered: bool) -> tuple[str, str]:
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


class Worker:
    """A process that reads files until one kills it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def result(self, case: Case) -> tuple[str, str]:
        """Return what comes of a file."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz", "--work"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).parents[1],
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        question = json.dumps([case.path, case.whole, case.is_covered])
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        in_time = select.select([self._process.stdout], [], [], _SECONDS)[0]
        line = self._process.stdout.readline() if in_time else ""
        if line:
            kind, message = json.loads(line)
            return kind, message
        status = self.close(kill=True)
        return ("crash", f"status {status}") if in_time else ("hang", f"over {_SECONDS} s")

    def close(self, kill: bool = False) -> int:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return 0
        if kill:
            process.kill()
        process.communicate()
        return process.returncode


def fuzz(directory: Path, files: int, seed: int) -> tuple[dict[str, Counter[str]], list[str]]:
    """Make, damage and read files.

    Returns:
        The counts of results by kind, and what is to be looked at.
    """
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    odd = []
    worker = Worker()
    for case in make_cases(directory, files, seed):
        result, message = worker.result(case)
        # That HDF5 died of a file is no failure; it is of interest that the process is needed.
        for sign, name in (("HDF5 crashes", "HDF5 crashed"), ("does not return", "HDF5 hung")):
            counts[case.kind][name] += sign in message
        counts[case.kind][result] += 1
        if result in BAD:
            odd.append(f"{case.path} ({case.kind}): {result}: {message}")
        else:
            Path(case.path).unlink()
    worker.close()
    return counts, odd


def table(counts: dict[str, Counter[str]]) -> str:
    """Return the counts as text."""
    names = ("files", *RESULTS, "HDF5 crashed", "HDF5 hung")
    lines = [f"{'kind':<26}" + "".join(f"{name:>14}" for name in names)]
    total: Counter[str] = Counter()
    for kind, found in counts.items():
        found["files"] = sum(found[name] for name in RESULTS)
        total.update(found)
        lines.append(f"{kind:<26}" + "".join(f"{found[name]:>14}" for name in names))
    lines.append(f"{'all':<26}" + "".join(f"{total[name]:>14}" for name in names))
    return "\n".join(lines)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.work:
        work()
        return 0
    directory = Path(tempfile.mkdtemp(prefix="hpcgan-fuzz-"))
    counts, odd = fuzz(directory, words.files, words.seed)
    print(table(counts))
    for line in odd:
        print(line)
    if not odd:
        shutil.rmtree(directory)
    return 1 if odd else 0


if __name__ == "__main__":
    sys.exit(main())
