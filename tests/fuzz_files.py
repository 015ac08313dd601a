"""Checkpoints and data files, and damage of many kinds to them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from hpcgan import checkpoint
from hpcgan.config import Config, DataConfig
from hpcgan.files import USER_BLOCK

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
        is_for_tools: whether ``hpcgan-data`` is to read it too.
    """

    kind: str
    path: str
    whole: str
    is_covered: bool
    is_for_tools: bool


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
            data="40 samples",
            rollbacks=1,
            discarded=5,
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
            damaged = checkpoint.seal(memoryview(damaged)) + damaged
        covered = any(
            chunk.start <= where.start and where.stop <= chunk.stop for chunk in chunks[kind]
        )
        path = directory / f"{number:06d}.h5"
        path.write_bytes(damaged)
        is_covered = kind == "checkpoint" or covered
        for_tools = not kind.startswith("checkpoint") and number // len(KINDS) % 2 == 0
        cases.append(Case(kind, str(path), str(whole[kind]), is_covered, for_tools))
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
