"""``hpcgan-data convert``: what goes in comes out, from one process and from three."""

from __future__ import annotations

import errno
import gzip
import json
import os
import pickle
import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import launching
import numpy as np
import pytest
from conversions import refusal
from PIL import Image

from data_tools import cli, convert
from data_tools.conversion import Conversion
from hpcgan.errors import DataError

RNG = np.random.default_rng(4)
COUNT = 11
COLOURS = RNG.integers(0, 256, (COUNT, 6, 5, 3), np.uint8)
GREYS = RNG.integers(0, 256, (COUNT, 6, 5), np.uint8)
FLOATS = RNG.normal(size=(COUNT, 3, 4, 5, 2))
CLASSES = np.arange(COUNT) % 3

# A source's options, and what its file must hold.
Case = tuple[list[str], dict[str, np.ndarray]]


def idx(array: np.ndarray) -> bytes:
    """Return an unsigned array in IDX."""
    return (
        bytes([0, 0, 8, array.ndim])
        + struct.pack(f">{array.ndim}i", *array.shape)
        + bytes(array.tobytes())
    )


def folder(place: Path) -> Case:
    """Pictures of three classes in PNG."""
    names = ("bee", "ant", "cow")
    order = sorted(range(COUNT), key=lambda n: (sorted(names).index(names[CLASSES[n]]), n))
    for number, (pixels, label) in enumerate(zip(COLOURS, CLASSES, strict=True)):
        (place / "folder" / names[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / "folder" / names[label] / f"{number:02d}.png")
    labels = [sorted(names).index(names[CLASSES[n]]) for n in order]
    return ["folder"], {"images": COLOURS[order], "labels": np.array(labels, np.int32)}


def jpeg(place: Path) -> Case:
    """Grey JPEG files without classes, larger than the samples."""
    (place / "jpeg").mkdir()
    expected = []
    for number in range(COUNT):
        path = place / "jpeg" / f"{number:02d}.JPG"
        Image.fromarray(RNG.integers(0, 256, (20, 32), np.uint8)).save(path)
        middle = Image.open(path).resize((8, 8), Image.Resampling.LANCZOS, box=(6, 0, 26, 20))
        expected.append(np.asarray(middle)[..., np.newaxis])
    return ["jpeg", "--size", "8", "--crop"], {"images": np.stack(expected)}


def mnist(place: Path) -> Case:
    """MNIST's two files, with gzip."""
    (place / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(GREYS)))
    (place / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(CLASSES.astype("u1"))))
    expected = {"images": GREYS[..., np.newaxis], "labels": CLASSES.astype(np.int32)}
    return ["train-images-idx3-ubyte.gz", "--compression", "gzip"], expected


def cifar10(place: Path) -> Case:
    """Two of CIFAR-10's files."""
    pixels = RNG.integers(0, 256, (COUNT, 32, 32, 3), np.uint8)
    (place / "cifar").mkdir()
    for number, run in enumerate((slice(0, 4), slice(4, COUNT))):
        planes = pixels[run].transpose(0, 3, 1, 2).reshape(-1, 3072)
        records = np.concatenate([CLASSES[run, np.newaxis].astype("u1"), planes], axis=1)
        (place / "cifar" / f"data_batch_{number}.bin").write_bytes(records.tobytes())
    return ["cifar"], {"images": pixels, "labels": CLASSES.astype(np.int32)}


def npy(place: Path) -> Case:
    """A .npy file of volumes in double precision, with conditions in another."""
    np.save(place / "volumes.npy", FLOATS)
    np.save(place / "energies.npy", FLOATS[:, 0, 0, 0, 0])
    expected = {"images": FLOATS.astype("f4"), "labels": FLOATS[:, 0, 0, 0, 0].astype("f4")}
    options = ["--labels", "energies.npy", "--compression", "gzip"]
    return ["volumes.npy", *options], expected


def npz(place: Path) -> Case:
    """An archive with other names and wider integers."""
    np.savez_compressed(place / "a.npz", x=GREYS.astype(np.int64), y=CLASSES)
    expected = {"images": GREYS[..., np.newaxis], "labels": CLASSES.astype(np.int32)}
    return ["a.npz", "--images", "x", "--labels", "y", "--compression", "lzf"], expected


def hdf5(place: Path) -> Case:
    """Another HDF5 file, in one piece."""
    with h5py.File(place / "a.h5", "w") as file:
        file["x/pixels"] = COLOURS
        file["x/kinds"] = CLASSES
    expected = {"images": COLOURS, "labels": CLASSES.astype(np.int32)}
    return ["a.h5", "--images", "x/pixels", "--labels", "x/kinds"], expected


CASES: dict[str, Callable[[Path], Case]] = {
    case.__name__: case for case in (folder, jpeg, mnist, cifar10, npy, npz, hdf5)
}


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory):
    """Return the place of all sources, converted by one process and by three, and all cases."""
    place = tmp_path_factory.mktemp("convert")
    cases = {name: case(place) for name, case in CASES.items()}
    said = {}
    for name, ranks in {"one": None, "three": 3}.items():
        (place / name).mkdir()
        commands = [
            ["convert", words[0], f"{name}/{case}.h5", "--chunk", "2", *words[1:]]
            for case, (words, _) in cases.items()
        ]
        done = launching.run(place, "-c", _ALL, json.dumps(commands), ranks=ranks, timeout=200)
        assert done.returncode == 0, done.stdout + done.stderr
        parts = re.split("\n(?! )", done.stdout.rstrip("\n"))
        said = dict(zip(cases, parts, strict=True))
    return place, cases, said


_ALL = """
import json, sys
from data_tools.cli import main
for words in json.loads(sys.argv[1]):
    status = main(words)
    if status:
        sys.exit(status)
"""


@pytest.mark.parametrize("name", CASES)
def test_one_process_and_three_write_what_the_source_holds(converted, name: str) -> None:
    place, cases, said = converted
    words, expected = cases[name]
    with h5py.File(place / "one" / f"{name}.h5") as file:
        assert set(file) == set(expected)
        for dataset, array in expected.items():
            np.testing.assert_array_equal(file[dataset][:], array)
            assert file[dataset].dtype == array.dtype
            assert file[dataset].chunks == (2, *array.shape[1:])
            compressed = (
                words[words.index("--compression") + 1] if "--compression" in words else None
            )
            assert file[dataset].compression == compressed
    one, three = (place / ranks / f"{name}.h5" for ranks in ("one", "three"))
    assert one.read_bytes() == three.read_bytes()
    shape = "x".join(map(str, expected["images"].shape[1:]))
    start = f"three/{name}.h5: {COUNT} samples, {shape} {expected['images'].dtype}"
    assert said[name].startswith(start)
    assert f"; {three.stat().st_size} bytes, " in said[name]
    assert ", chunks of 2, written by 3 ranks at " in said[name]


def test_nothing_else_is_left_and_classes_are_reported(converted) -> None:
    place, cases, said = converted
    for ranks in ("one", "three"):
        left = {path.name for path in (place / ranks).iterdir()}
        assert left == {f"{name}.h5" for name in cases}
    assert "\n  3 classes: 0 ant: 4, 1 bee: 4, 2 cow: 3" in said["folder"]
    with h5py.File(place / "three" / "folder.h5") as file:
        assert list(file["labels"].attrs["classes"]) == ["ant", "bee", "cow"]


def test_files_that_are_not_what_they_say(here: Path, capsys) -> None:
    assert refusal(capsys, "none", "o.h5") == "none: there is no such file or folder"
    Path("i").write_bytes(idx(GREYS)[:-1])
    assert refusal(capsys, "i", "o.h5") == (
        "i: claims 11 x 6 x 5 values of 1 bytes, but holds 329 bytes"
    )
    Path("i").write_bytes(bytes([0, 0, 8, 3]) + struct.pack(">3i", *[2**31 - 1] * 3) + b"x")
    assert "but holds 1 bytes" in refusal(capsys, "i", "o.h5")
    Path("i").write_bytes(b"\0\1\2\3" * 9)
    assert refusal(capsys, "i", "o.h5").startswith("i: its format is unknown; set --format: ")
    assert refusal(capsys, "i", "o.h5", "--format", "idx") == (
        "i: begins with 00 01 02 03, which is not IDX"
    )
    Path("i").write_bytes(idx(GREYS))
    Path("l").write_bytes(idx(CLASSES[:5].astype("u1")))
    assert refusal(capsys, "i", "o.h5", "--labels", "l") == (
        "l: the labels have shape (5,); for 11 images they must be (11,), (11, K) conditions or "
        "(11, K) of one-hot classes, or --labels none"
    )


def test_what_the_system_refuses_is_one_error_of_all_ranks(
    here: Path, world, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = 300 * "a"
    assert refusal(capsys, long, "o.h5") == f"{long}: cannot be read: File name too long"
    np.savez("n.npz", images=GREYS)
    assert refusal(capsys, "n.npz", "o.h5", "--labels", long).startswith("n.npz: there is no array")

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "c.bin")

    Path("c.bin").write_bytes(bytes(3073))
    monkeypatch.setattr(np, "memmap", refused)
    with pytest.raises(DataError, match=r"^c\.bin: cannot be read: Permission denied$") as caught:
        convert.convert(Path("o.h5"), Conversion(Path("c.bin")), world)
    assert caught.value.on_all_ranks


class Trap:
    """What a pickle would run."""

    def __reduce__(self) -> tuple:
        return (os.mkdir, ("sprung",))


def test_arrays_that_cannot_be_samples(here: Path, capsys) -> None:
    np.save("o.npy", np.array([Trap()], object), allow_pickle=True)
    assert "not readable as .npy: " in refusal(capsys, "o.npy", "o.h5")
    np.savez("o.npz", images=np.array([Trap()], object))
    assert "not readable as .npz: " in refusal(capsys, "o.npz", "o.h5")
    Path("p.npy").write_bytes(pickle.dumps(Trap()))
    assert "not readable as .npy: " in refusal(capsys, "p.npy", "o.h5")
    assert not Path("sprung").exists()
    np.save("n.npy", GREYS.astype(int) + 200)
    message = refusal(capsys, "n.npy", "o.h5")
    assert message.endswith(
        "; integers must be from 0 to 255, or --values minmax (or another) says how they become "
        "floats"
    )
    np.save("n.npy", GREYS[0])
    assert refusal(capsys, "n.npy", "o.h5").startswith("n.npy: the images have shape (6, 5); ")
    np.save("n.npy", GREYS.astype(complex))
    assert refusal(capsys, "n.npy", "o.h5").startswith("n.npy: the images have dtype complex128; ")


def test_hdf5_with_content_elsewhere(here: Path, capsys) -> None:
    (here / "raw").write_bytes(COLOURS.tobytes())
    with h5py.File("a.h5", "w", userblock_size=1024) as file:
        raw = [("raw", 0, COLOURS.nbytes)]
        file.create_dataset("images", COLOURS.shape, np.uint8, external=raw)
        file["linked"] = h5py.ExternalLink("b.h5", "images")
    hook = sys.excepthook
    assert cli.main(["convert", "a.h5", "o.h5"]) == 0
    sys.excepthook = hook
    capsys.readouterr()
    with h5py.File("o.h5") as file:
        np.testing.assert_array_equal(file["images"], COLOURS)
    Path("o.h5").unlink()
    os.truncate("raw", 100)
    assert refusal(capsys, "a.h5", "o.h5") == (
        f"a.h5: '/images' needs {COLOURS.nbytes} bytes of other files, which have 100"
    )
    assert refusal(capsys, "a.h5", "o.h5", "--images", "linked") == (
        "a.h5: 'linked' is a link to another file; name that file instead"
    )


def test_hdf5_that_is_damaged(here: Path, capsys) -> None:
    with h5py.File("a.h5", "w") as file:
        array = file.create_dataset("images", data=GREYS, chunks=(4, 6, 5), compression="gzip")
        place = array.id.get_chunk_info(2).byte_offset
    with Path("a.h5").open("r+b") as raw:
        raw.seek(place)
        raw.write(bytes(9))
    message = refusal(capsys, "a.h5", "o.h5")
    assert message.startswith("a.h5: samples 8 to 10 of 'images' cannot be read: ")
    with h5py.File("a.h5", "w") as file:
        file.create_dataset("images", (10**12, 6, 5), np.uint8, chunks=(4, 6, 5))
    assert "a.h5: '/images' claims 30000000000000 bytes " in refusal(capsys, "a.h5", "o.h5")
    os.mkfifo("pipe")
    assert refusal(capsys, "pipe", "o.h5") == "pipe: there is no such file or folder"


def test_options_and_places_that_do_not_fit(here: Path, capsys) -> None:
    np.save("n.npy", GREYS)
    assert refusal(capsys, "n.npy", "no/o.h5").startswith("no/o.h5: there is no directory no;")
    assert refusal(capsys, "n.npy", "o.h5", "--size", "8").startswith("--size is for ")
    assert refusal(capsys, "n.npy", "o.h5", "--chunk", "0").startswith("argument --chunk: '0' is")
    assert refusal(capsys, "n.npy", "o.h5", "--labels", "l") == (
        "l: there is no such file (--labels)"
    )
    assert refusal(capsys, "n.npy", "o.h5", "--images", "x") == (
        "--images is for hdf5, npz, tfrecord, and n.npy is npy"
    )
    folder(here)
    assert refusal(capsys, "folder", "o.h5", "--labels", "l") == (
        "l: there is no such file (--labels)"
    )
    assert "'8,x' is not H or H,W, whole numbers" in refusal(
        capsys, "n.npy", "o.h5", "--size", "8,x"
    )


@pytest.mark.parametrize("compression", ["none", "gzip"])
@pytest.mark.parametrize("limit", [100, 40_000, 150_000])
def test_a_full_disk_leaves_the_old_file(
    python, failure_line, tmp_path: Path, compression: str, limit: int
) -> None:
    np.save(tmp_path / "n.npy", RNG.integers(0, 256, (300, 32, 32), np.uint8))
    (tmp_path / "o.h5").write_text("old")
    words = ["n.npy", "o.h5", "--chunk", "10", "--compression", compression]
    done = python("-c", _FULL, limit, "convert", *words)
    assert failure_line(done, 1).startswith("hpcgan-data: o.h5: cannot be written: File too large")
    assert (tmp_path / "o.h5").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["n.npy", "o.h5"]


# A limit to the size of files stands for a full disk: the system refuses the same writes.
_FULL = """
import resource, sys
from hpcgan.world import World
from data_tools.cli import main
World()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.exit(main(sys.argv[2:]))
"""
