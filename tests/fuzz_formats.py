"""A source of each format that ``convert`` reads, and an independent reader of it."""

from __future__ import annotations

import gzip
import io
import os
import struct
import subprocess
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

# Samples (N, H, W, C) and their labels, or None.
Content = tuple[np.ndarray, np.ndarray | None]

COUNT = 6
_RNG = np.random.default_rng(11)
COLOURS = _RNG.integers(0, 256, (COUNT, 32, 32, 3), np.uint8)
GREYS = COLOURS[..., :1]
LABELS = np.arange(COUNT) % 3


@dataclass(frozen=True)
class Fuzzed:
    """A format.

    Attributes:
        make: writes a source of it into a new directory, and returns the source.
        read: reads a source, damaged or not, by other code than ours; any error is none of ours.
        options: of the conversion.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], Content]
    options: dict[str, Any] = field(default_factory=dict)


def is_same(found: Content, expected: Content | None) -> bool:
    """Return whether two sources hold the same samples and labels."""
    if expected is None:
        return False
    (images, labels), (other, of_other) = found, expected
    if images.shape != other.shape or not np.array_equal(images, other.astype(images.dtype)):
        return False
    if labels is None or of_other is None:
        return labels is None and of_other is None
    return np.array_equal(labels, of_other)


# --- pictures ----------------------------------------------------------------------------------


def _encoded(kind: str, number: int) -> bytes:
    content = io.BytesIO()
    lossless = {"lossless": True} if kind == "WEBP" else {}
    Image.fromarray(COLOURS[number]).save(content, kind, **lossless)
    return content.getvalue()


def _pictures(kind: str) -> Fuzzed:
    """Pictures in folders of classes."""

    def make(directory: Path) -> Path:
        for number, label in enumerate(LABELS):
            place = directory / "source" / f"class_{label}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number}.{kind.lower()}").write_bytes(_encoded(kind, number))
        return directory / "source"

    def read(source: Path) -> Content:
        named = [(str(p.relative_to(source)), p.read_bytes()) for p in source.rglob("*.*")]
        return _decoded(sorted(named))

    return Fuzzed(make, read)


def _decoded(named: list[tuple[str, bytes]]) -> Content:
    """Return pictures by their names, class/number."""
    images, labels = [], []
    for name, content in named:
        with Image.open(io.BytesIO(content)) as picture:
            images.append(np.asarray(picture.convert("RGB")))
        labels.append(int(Path(name).parent.name.removeprefix("class_")))
    return np.stack(images), np.array(labels)


def _names() -> list[tuple[str, int]]:
    return [(f"class_{label}/{number}.png", number) for number, label in enumerate(LABELS)]


def _make_zip(directory: Path) -> Path:
    directory.mkdir(parents=True)
    with zipfile.ZipFile(directory / "source.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, number in _names():
            archive.writestr(name, _encoded("PNG", number))
    return directory / "source.zip"


def _read_zip(source: Path) -> Content:
    with zipfile.ZipFile(source) as archive:
        return _decoded(sorted((name, archive.read(name)) for name in archive.namelist()))


def _tar(mode: str) -> Fuzzed:
    def make(directory: Path) -> Path:
        directory.mkdir(parents=True)
        with tarfile.open(directory / "source.tar", f"w:{mode}") as archive:
            for name, number in _names():
                content = _encoded("PNG", number)
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        return directory / "source.tar"

    def read(source: Path) -> Content:
        with tarfile.open(source) as archive:
            files = [entry for entry in archive if entry.isfile()]
            return _decoded([(e.name, archive.extractfile(e).read()) for e in files])  # type: ignore[union-attr]

    return Fuzzed(make, read)


# --- arrays ------------------------------------------------------------------------------------


def _make_npy(directory: Path) -> Path:
    directory.mkdir(parents=True)
    np.save(directory / "source.npy", COLOURS)
    return directory / "source.npy"


def _npz(save: Callable[..., None]) -> Fuzzed:
    def make(directory: Path) -> Path:
        directory.mkdir(parents=True)
        save(directory / "source.npz", images=COLOURS, labels=LABELS)
        return directory / "source.npz"

    def read(source: Path) -> Content:
        with np.load(source) as archive:
            return archive["images"], archive.get("labels")

    return Fuzzed(make, read)


def _idx(array: np.ndarray) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
    return head + array.astype(np.uint8).tobytes()


def _mnist(suffix: str, pack: Callable[[bytes], bytes], unpack: Callable[[bytes], bytes]) -> Fuzzed:
    """MNIST's folder."""

    def make(directory: Path) -> Path:
        source = directory / "source"
        source.mkdir(parents=True)
        for split in ("train", "t10k"):
            images = source / f"{split}-images-idx3-ubyte{suffix}"
            images.write_bytes(pack(_idx(GREYS[..., 0])))
            (source / f"{split}-labels-idx1-ubyte{suffix}").write_bytes(pack(_idx(LABELS)))
        return source

    def array(path: Path) -> np.ndarray:
        content = unpack(path.read_bytes())
        shape = struct.unpack(f">{content[3]}i", content[4 : 4 + 4 * content[3]])
        return np.frombuffer(content[4 + 4 * content[3] :], np.uint8).reshape(shape)

    def read(source: Path) -> Content:
        images = array(source / f"train-images-idx3-ubyte{suffix}")[..., np.newaxis]
        return images, array(source / f"train-labels-idx1-ubyte{suffix}")

    return Fuzzed(make, read)


def _make_cifar(directory: Path) -> Path:
    source = directory / "source"
    source.mkdir(parents=True)
    planes = COLOURS.transpose(0, 3, 1, 2).reshape(COUNT, -1)
    records = np.concatenate([LABELS[:, np.newaxis].astype(np.uint8), planes], axis=1)
    (source / "data_batch_1.bin").write_bytes(records.tobytes())
    return source


def _read_cifar(source: Path) -> Content:
    records = np.fromfile(source / "data_batch_1.bin", np.uint8).reshape(-1, 3073)
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0]


def _make_hdf5(directory: Path) -> Path:
    directory.mkdir(parents=True)
    with h5py.File(directory / "source.h5", "w") as file:
        file.create_dataset("images", data=COLOURS, chunks=(4, 32, 32, 3), compression="gzip")
        file["labels"] = LABELS
    return directory / "source.h5"


def _read_hdf5(source: Path) -> Content:
    with h5py.File(source) as file:
        return file["images"][:], file["labels"][:]


# --- records -----------------------------------------------------------------------------------


def _tfrecord(compression: str) -> Fuzzed:
    def make(directory: Path) -> Path:
        import tensorflow as tf

        directory.mkdir(parents=True)
        path = directory / "source.tfrecord"
        with tf.io.TFRecordWriter(str(path), compression) as writer:
            for number, label in enumerate(LABELS):
                features = {
                    "image": tf.train.Feature(
                        bytes_list=tf.train.BytesList(value=[_encoded("PNG", number)])
                    ),
                    "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[int(label)])),
                }
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString())
        return path

    def read(source: Path) -> Content:
        import tensorflow as tf

        named = []
        for number, record in enumerate(tf.data.TFRecordDataset(str(source), compression)):
            found = tf.train.Example.FromString(record.numpy()).features.feature
            label = found["label"].int64_list.value[0]
            named.append((f"{label}/{number}", found["image"].bytes_list.value[0]))
        labels = np.array([int(name.split("/")[0]) for name, _ in named])
        images = [
            np.asarray(Image.open(io.BytesIO(content)).convert("RGB")) for _, content in named
        ]
        return np.stack(images), labels

    return Fuzzed(make, read)


def _make_lmdb(directory: Path) -> Path:
    import lmdb

    source = directory / "source"
    source.mkdir(parents=True)
    with lmdb.open(str(source), map_size=2**20) as database, database.begin(write=True) as turn:
        for number in range(COUNT):
            turn.put(f"{number:08d}".encode(), _encoded("PNG", number))
    return source


_CURSOR = """
import lmdb, sys
with lmdb.open(sys.argv[1], readonly=True, lock=False) as database, database.begin() as turn:
    for _, value in turn.cursor():
        print(value.hex())
"""


def _read_lmdb(source: Path) -> Content:
    """Have another process read it, which damage may kill."""
    words = [sys.executable, "-c", _CURSOR, str(source)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    contents = [bytes.fromhex(line) for line in done.stdout.split()]
    images = [np.asarray(Image.open(io.BytesIO(each)).convert("RGB")) for each in contents]
    return np.stack(images), None


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported
warnings.simplefilter("ignore")  # Pillow and NumPy of what is damaged

FORMATS: dict[str, Fuzzed] = {
    **{kind: _pictures(kind) for kind in ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")},
    "zip": Fuzzed(_make_zip, _read_zip),
    "tar": _tar(""),
    "tar.gz": _tar("gz"),
    "npy": Fuzzed(_make_npy, lambda source: (np.load(source), None)),
    "npz": _npz(np.savez),
    "npz, deflated": _npz(np.savez_compressed),
    "mnist": _mnist("", bytes, bytes),
    "mnist, gzip": _mnist(".gz", gzip.compress, gzip.decompress),
    "cifar10": Fuzzed(_make_cifar, _read_cifar),
    "hdf5": Fuzzed(_make_hdf5, _read_hdf5),
    "tfrecord": _tfrecord(""),
    "tfrecord, gzip": _tfrecord("GZIP"),
    "lmdb": Fuzzed(_make_lmdb, _read_lmdb),
}
