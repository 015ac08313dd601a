"""Memory of each rank that ``hpcgan-data convert`` takes: ``python -m benchmarks.convert_memory``.

Sources of random values of some size (``--mebibytes``) in each format that holds all samples in one
file, converted by 2 ranks; and the same of one mebibyte, which is what Python and its packages
take. The peak is that of a process (``ru_maxrss``), the larger one of the ranks; the process that
reads HDF5 counts for itself. What grows with the source would be loaded instead of read in parts.
"""

from __future__ import annotations

import argparse
import gzip
import json
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import google_crc32c
import h5py
import numpy as np

from benchmarks.measure import MPIRUN, ROOT

RANKS = 2
SIDE = 64  # pixels
PART = 256  # samples that are made at once: 1 MiB

_CONVERT = """
import json, resource, sys
from data_tools.cli import main
from hpcgan.hdf5 import of_this_rank
status = main(json.loads(sys.argv[1]))
of_this_rank.close()
whose = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
peaks = [resource.getrusage(each).ru_maxrss for each in whose]
sys.stdout.write(f"PEAK {json.dumps(peaks)}\\n")
sys.exit(status)
"""


def parts(samples: int) -> Iterator[np.ndarray]:
    """Yield random samples, uint8 (PART, SIDE, SIDE)."""
    generator = np.random.default_rng(0)
    for _ in range(samples // PART):
        yield generator.integers(0, 256, (PART, SIDE, SIDE), np.uint8)


def write_npy(path: Path, samples: int) -> None:
    """Write a .npy file."""
    array = np.lib.format.open_memmap(path, "w+", np.uint8, (samples, SIDE, SIDE))
    for number, part in enumerate(parts(samples)):
        array[number * PART : (number + 1) * PART] = part


def write_npz(path: Path, samples: int) -> None:
    """Write an archive that is not compressed."""
    np.savez(path, images=np.concatenate(list(parts(samples))))


def write_deflated_npz(path: Path, samples: int) -> None:
    """Write an archive that is."""
    np.savez_compressed(path, images=np.concatenate(list(parts(samples))))


def opened(path: Path) -> BinaryIO:
    """Open a file to write to, through gzip if its name says so."""
    return cast(BinaryIO, gzip.open(path, "wb", 1)) if path.suffix == ".gz" else path.open("wb")


def write_idx(path: Path, samples: int) -> None:
    """Write an IDX file."""
    with opened(path) as file:
        file.write(bytes([0, 0, 8, 3]) + struct.pack(">3i", samples, SIDE, SIDE))
        for part in parts(samples):
            file.write(part.tobytes())


def write_tfrecord(path: Path, samples: int) -> None:
    """Write records of raw pixels, with their protobuf made by hand."""
    with opened(path) as file:
        for part in parts(samples):
            for pixels in part:
                features = [entry("image", field(1, field(1, pixels.tobytes())))]
                for name in ("height", "width"):
                    features.append(entry(name, field(3, b"\x08" + varint(SIDE))))
                record = field(1, b"".join(features))
                length = struct.pack("<Q", len(record))
                file.write(length + masked(length) + record + masked(record))


def varint(number: int) -> bytes:
    """Return a number as protobuf writes it."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number: int, content: bytes) -> bytes:
    """Return a field of bytes of a protobuf message."""
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def entry(name: str, feature: bytes) -> bytes:
    """Return an entry of the map of features."""
    return field(1, field(1, name.encode()) + field(2, feature))


def masked(content: bytes) -> bytes:
    """Return TFRecord's checksum."""
    crc = google_crc32c.value(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def write_hdf5(path: Path, samples: int) -> None:
    """Write an HDF5 file in chunks."""
    with h5py.File(path, "w") as file:
        shape = (samples, SIDE, SIDE)
        array = file.create_dataset("images", shape, np.uint8, chunks=(PART, SIDE, SIDE))
        for number, part in enumerate(parts(samples)):
            array[number * PART : (number + 1) * PART] = part


SOURCES: dict[str, Callable[[Path, int], None]] = {
    "images.npy": write_npy,
    "stored.npz": write_npz,
    "deflated.npz": write_deflated_npz,
    "images-idx3-ubyte": write_idx,
    "images-idx3-ubyte.gz": write_idx,
    "images.tfrecord": write_tfrecord,
    "images.tfrecord.gz": write_tfrecord,
    "images.h5": write_hdf5,
}


def peaks(source: Path) -> tuple[float, float]:
    """Convert a source; return the MiB of a rank, and of the process that reads HDF5 for it."""
    words = ["convert", str(source), str(source.with_suffix(".out.h5"))]
    command = [MPIRUN, "--oversubscribe", "-n", str(RANKS), sys.executable, "-c", _CONVERT]
    done = subprocess.run(
        [*command, json.dumps(words)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    found = [json.loads(line[5:]) for line in done.stdout.splitlines() if line[:5] == "PEAK "]
    assert len(found) == RANKS, done.stdout
    own, child = np.max(found, axis=0) / 1024
    return float(own), float(child)


def main() -> None:
    """Measure and print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mebibytes", type=int, default=64, help="of each source (default: 64)")
    size = parser.parse_args().mebibytes
    print(f"{RANKS} ranks, sources of {size} MiB; peaks of a rank in MiB")
    print(f"{'source':<24}{'of 1 MiB':>10}{f'of {size} MiB':>14}{'more':>8}{'HDF5 process':>14}")
    for name, write in SOURCES.items():
        with tempfile.TemporaryDirectory() as directory:
            found = []
            for mebibytes in (1, size):
                source = Path(directory) / f"{mebibytes}-{name}"
                write(source, mebibytes * PART)
                found.append(peaks(source))
        (base, _), (own, child) = found
        reader = f"{child:.0f}" if name.endswith(".h5") else "-"
        print(f"{name:<24}{base:>10.0f}{own:>14.0f}{own - base:>8.0f}{reader:>14}", flush=True)


if __name__ == "__main__":
    main()
