"""MNIST, CIFAR, STL-10 and NumPy's files as people download them, written by their descriptions."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from conversions import Case, Converted, convert_all, refusal

RNG = np.random.default_rng(17)
COUNT = 11
GREYS = RNG.integers(0, 256, (COUNT, 6, 5), np.uint8)
COLOURS = RNG.integers(0, 256, (COUNT, 6, 5, 3), np.uint8)
CLASSES = (np.arange(COUNT) * 7 % 10).astype(np.int32)
SQUARES = RNG.integers(0, 256, (COUNT, 32, 32, 3), np.uint8)


def idx(array: np.ndarray) -> bytes:
    """Return an unsigned array in IDX."""
    sides = struct.pack(f">{array.ndim}i", *array.shape)
    return bytes([0, 0, 8, array.ndim]) + sides + array.tobytes()


def write_mnist(place: Path) -> None:
    """Write MNIST's four files, with gzip and without; the test's are those of train in reverse."""
    images, labels = idx(GREYS), idx(CLASSES.astype("u1"))
    (place / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
    (place / "train-labels-idx1-ubyte").write_bytes(labels)
    (place / "t10k-images.idx3-ubyte").write_bytes(idx(GREYS[::-1]))
    (place / "t10k-labels-idx1-ubyte.gz").write_bytes(
        gzip.compress(idx(CLASSES[::-1].astype("u1")))
    )


def mnist(place: Path) -> Case:
    write_mnist(place)
    said = (
        "samples from train-images-idx3-ubyte.gz",
        "labels from train-labels-idx1-ubyte",
        "left out: images of another split (--split test): 1 (t10k-images.idx3-ubyte)",
    )
    return Case(".", GREYS[..., np.newaxis], CLASSES, said)


def mnist_test(place: Path) -> Case:
    write_mnist(place)
    said = ("labels from t10k-labels-idx1-ubyte.gz",)
    words = ". --split test --strict --compression gzip"
    return Case(words, GREYS[::-1, ..., np.newaxis], CLASSES[::-1], said)


def mnist_file(place: Path) -> Case:
    write_mnist(place)
    return Case("train-images-idx3-ubyte.gz", GREYS[..., np.newaxis], CLASSES)


def mnist_of_other_names(place: Path) -> Case:
    (place / "images.idx3-ubyte").write_bytes(idx(GREYS))
    (place / "labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(CLASSES.astype("u1"))))
    return Case(". --strict", GREYS[..., np.newaxis], CLASSES, ("samples from images.idx3-ubyte",))


def write_cifar(place: Path, names: dict[str, slice], coarse: bool) -> None:
    """Write records of CIFAR: labels, then all red, all green, all blue."""
    for name, run in names.items():
        labels = CLASSES[run, np.newaxis].astype("u1")
        if coarse:
            labels = np.concatenate([labels // 5 + 3, labels], axis=1)
        planes = SQUARES[run].transpose(0, 3, 1, 2).reshape(-1, 3072)
        (place / name).write_bytes(np.concatenate([labels, planes], axis=1).tobytes())


def cifar10(place: Path) -> Case:
    files = {"data_batch_2.bin": slice(4, 9), "data_batch_10.bin": slice(9, COUNT)}
    write_cifar(place, {"data_batch_1.bin": slice(4), **files, "test_batch.bin": slice(3)}, False)
    (place / "batches.meta.txt").write_text("".join(f"name {n}\n" for n in range(10)) + "\n")
    said = (
        "samples from data_batch_1.bin, data_batch_2.bin, data_batch_10.bin",
        "names of classes from batches.meta.txt",
        "left out: files of another split, or none (--split, or the file itself): 1 "
        "(test_batch.bin)",
    )
    return Case(".", SQUARES, CLASSES, said, {"classes": [f"name {n}" for n in range(10)]})


def cifar10_test(place: Path) -> Case:
    write_cifar(place, {"data_batch_1.bin": slice(4), "test_batch.bin": slice(3)}, False)
    return Case(". --split test --strict", SQUARES[:3], CLASSES[:3])


def cifar100(place: Path) -> Case:
    write_cifar(place, {"train.bin": slice(COUNT), "test.bin": slice(2)}, True)
    said = ("labels are the fine ones; the coarse ones are not taken",)
    return Case(".", SQUARES, CLASSES, said)


def cifar100_file(place: Path) -> Case:
    write_cifar(place, {"mine.bin": slice(COUNT)}, True)
    return Case("mine.bin", SQUARES, CLASSES)


def stl10(place: Path) -> Case:
    pixels = RNG.integers(0, 256, (3, 96, 96, 3), np.uint8)
    # An image's bytes are its channels, of each the columns.
    (place / "train_X.bin").write_bytes(pixels.transpose(0, 3, 2, 1).tobytes())
    (place / "train_y.bin").write_bytes(bytes([10, 1, 4]))
    (place / "unlabeled_X.bin").write_bytes(bytes(27648))
    names = [f"name {n}" for n in range(10)]
    (place / "class_names.txt").write_text("\n".join(names))
    said = ("labels from train_y.bin, and 1 to 10 became 0 to 9",)
    return Case(".", pixels, np.array([9, 0, 3], np.int32), said, {"classes": names})


def stl10_unlabeled(place: Path) -> Case:
    pixels = RNG.integers(0, 256, (3, 96, 96, 3), np.uint8)
    (place / "unlabeled_X.bin").write_bytes(pixels.transpose(0, 3, 2, 1).tobytes())
    return Case("unlabeled_X.bin", pixels, None, ("no labels",))


def keras_mnist(place: Path) -> Case:
    arrays = {"x_train": GREYS[:4], "y_train": CLASSES[:4], "x_test": GREYS, "y_test": CLASSES}
    np.savez(place / "mnist.npz", **arrays)
    said = ("samples from array 'x_test'", "labels from array 'y_test'")
    return Case("mnist.npz --split test", GREYS[..., np.newaxis], CLASSES, said)


def keras_train(place: Path) -> Case:
    arrays = {"x_train": GREYS, "y_train": CLASSES, "x_test": GREYS[:2], "y_test": CLASSES[:2]}
    np.savez_compressed(place / "mnist.npz", **arrays)
    said = (
        "samples from array 'x_train'",
        "left out: arrays beside the samples and labels: 2 (x_test, y_test)",
    )
    return Case("mnist.npz", GREYS[..., np.newaxis], CLASSES, said)


def npz_of_one_array(place: Path) -> Case:
    np.savez(place / "a.npz", np.asfortranarray(COLOURS))
    return Case("a.npz", COLOURS, None, ("samples from array 'arr_0'", "no labels"))


def npz_in_fortran_order(place: Path) -> Case:
    volumes = RNG.normal(size=(COUNT, 3, 4, 5, 2)).astype(">f4")
    np.savez_compressed(place / "a.npz", X=np.asfortranarray(volumes), Y=CLASSES)
    said = ("samples from array 'X'", "labels from array 'Y'")
    return Case("a.npz", volumes.astype(np.float32), CLASSES, said)


def npy_in_fortran_order(place: Path) -> Case:
    volumes = RNG.normal(size=(COUNT, 3, 4, 5)).astype(">f8")
    np.save(place / "a.npy", np.asfortranarray(volumes))
    np.savez(place / "b.npz", y=np.eye(10)[CLASSES], other=GREYS)
    said = (
        "values rounded from float64 to float32",
        "samples (3, 4, 5) became (3, 4, 5, 1) (NDHW)",
        f"labels one-hot ({COUNT}, 10) became their classes",
    )
    words = f"a.npy --layout NDHW --labels {place / 'b.npz'}:y"
    return Case(words, volumes[..., np.newaxis].astype(np.float32), CLASSES, said)


MAKERS = {
    make.__name__: make
    for make in (
        mnist,
        mnist_test,
        mnist_file,
        mnist_of_other_names,
        cifar10,
        cifar10_test,
        cifar100,
        cifar100_file,
        stl10,
        stl10_unlabeled,
        keras_mnist,
        keras_train,
        npz_of_one_array,
        npz_in_fortran_order,
        npy_in_fortran_order,
    )
}


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Converted:
    return convert_all(tmp_path_factory.mktemp("named"), MAKERS)


@pytest.mark.parametrize("name", MAKERS)
def test_one_process_and_three_write_what_the_source_holds(converted, name: str) -> None:
    converted.check(name)


def test_splits_that_are_not_there(here: Path, capsys) -> None:
    write_mnist(here)
    assert refusal(capsys, ".", "o.h5", "--strict") == (
        ".: left out: images of another split (--split test): 1 (t10k-images.idx3-ubyte); which "
        "--strict forbids"
    )
    assert refusal(capsys, ".", "o.h5", "--split", "validation") == (
        ".: no files of images are of the split validation; there are: t10k-images.idx3-ubyte, "
        "train-images-idx3-ubyte.gz; --split or one of these files says which"
    )
    (here / "kmnist-train-images-idx3-ubyte").write_bytes(idx(GREYS))
    assert ".: several files of images are of the split train" in refusal(capsys, ".", "o.h5")
    words = ("train-images-idx3-ubyte.gz", "o.h5", "--split", "test")
    assert refusal(capsys, *words).endswith("--split is for a folder of MNIST's files")


def test_cifar_and_stl_files_that_are_wrong(here: Path, capsys) -> None:
    Path("c.bin").write_bytes(bytes(3075))
    assert refusal(capsys, "c.bin", "o.h5") == (
        "c.bin: has 3075 bytes, which are not a number of CIFAR-10's records of 3073 bytes (those "
        "of CIFAR-100 have 3074, those of STL-10 have 27648)"
    )
    Path("c.bin").write_bytes(b"\x0a" + bytes(3072))
    assert refusal(capsys, "c.bin", "o.h5") == "c.bin: has a label 10; CIFAR-10's are 0 to 9"
    Path("c.bin").write_bytes(b"\0\x64" + bytes(3072))
    assert refusal(capsys, "c.bin", "o.h5") == "c.bin: has a label 100; CIFAR-100's are 0 to 99"
    Path("train_X.bin").write_bytes(bytes(27648))
    Path("train_y.bin").write_bytes(bytes(1))
    assert refusal(capsys, ".", "o.h5") == (
        "train_y.bin: has labels from 0 to 0; STL-10's are 1 to 10"
    )
    Path("train_y.bin").write_bytes(bytes(2))
    assert refusal(capsys, ".", "o.h5") == "train_y.bin: has 2 labels, and train_X.bin 1 images"
    assert refusal(capsys, ".", "o.h5", "--split", "test") == (
        ".: no files of STL-10 are of the split test; there are: train_X.bin"
    )


@pytest.mark.parametrize(("name", "title"), [("data_batch_1", "cifar-10"), ("meta", "cifar-100")])
def test_cifar_for_python_is_refused_with_the_other_one(
    here: Path, capsys, name: str, title: str
) -> None:
    Path("c").mkdir()
    Path("c", name).write_bytes(pickle.dumps({"data": [1]}, protocol=2))
    for source in ("c", f"c/{name}"):
        assert refusal(capsys, source, "o.h5") == (
            f"{source}: is {title.upper()}'s version for Python, a pickle, which may run any code "
            f"when it is read; take the binary version, {title}-binary.tar.gz"
        )


def test_idx_files_that_are_cut_or_claim_too_much(here: Path, capsys) -> None:
    content = idx(GREYS)
    for wrong, begin in {
        gzip.compress(content[:-1]): "i: samples 0 to 10 cannot be read: it ends before",
        gzip.compress(content + b"x"): "i: samples 0 to 10 cannot be read: there are more values",
        gzip.compress(content)[:-9]: "i: samples 0 to 10 cannot be read: Compressed file ended",
        gzip.compress(content[:4] + struct.pack(">3i", *[2**31 - 1] * 3)): "i: claims 99035203",
        content[:-1]: "i: claims 11 x 6 x 5 values of 1 bytes, but holds 329 bytes",
        content + b"x": "i: claims 11 x 6 x 5 values of 1 bytes, but holds 331 bytes",
        content[:9]: "i: ends in its header, which has 3 sides",
    }.items():
        Path("i").write_bytes(wrong)
        assert refusal(capsys, "i", "o.h5").startswith(begin)
    damaged = bytearray(gzip.compress(content))
    damaged[-5] ^= 1  # of the checksum
    Path("i").write_bytes(damaged)
    assert "cannot be read: CRC check failed" in refusal(capsys, "i", "o.h5")


def test_archives_that_are_ambiguous_or_damaged(here: Path, capsys) -> None:
    np.savez("a.npz", x=GREYS, data=GREYS)
    assert refusal(capsys, "a.npz", "o.h5") == (
        "a.npz: the samples may be x or data: --images NAME says which; its arrays are: x, data"
    )
    np.savez("a.npz", pixels=GREYS)
    assert refusal(capsys, "a.npz", "o.h5") == (
        "a.npz: there is no array 'images'; its arrays are: pixels"
    )
    assert refusal(capsys, "a.npz", "o.h5", "--images", "x").startswith("a.npz: there is no array")
    assert refusal(capsys, "a.npz", "o.h5", "--split", "test") == (
        "a.npz: there is no array x_test in it (--split)"
    )
    large = RNG.integers(0, 256, (COUNT, 100, 100), np.uint8)
    np.savez("a.npz", images=large)
    content = bytearray(Path("a.npz").read_bytes())
    place = content.index(large[-1].tobytes())
    content[place] ^= 1  # stored uncompressed: only the checksum tells
    Path("a.npz").write_bytes(content)
    assert "a.npz: not readable as .npz: Bad CRC-32 for file" in refusal(capsys, "a.npz", "o.h5")
    np.savez_compressed("a.npz", images=GREYS)
    content = Path("a.npz").read_bytes()
    Path("a.npz").write_bytes(content[: len(content) // 2])
    assert "a.npz: not readable as .npz: " in refusal(capsys, "a.npz", "o.h5")


def test_labels_in_files_with_several_arrays(here: Path, capsys) -> None:
    np.save("a.npy", GREYS)
    np.savez("l.npz", first=CLASSES, second=CLASSES)
    assert refusal(capsys, "a.npy", "o.h5", "--labels", "l.npz") == (
        "l.npz: --labels l.npz:NAME says which array holds the labels; its arrays are: first, "
        "second"
    )
    np.savez("l.npz", y=np.zeros((COUNT, 10_001)))
    assert refusal(capsys, "a.npy", "o.h5", "--labels", "l.npz") == (
        "l.npz: the labels have shape (11, 10001), which is too much for 11 images"
    )
