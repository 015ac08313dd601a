"""HDF5 files as one array of samples, and what is said of files that cannot be that."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcgan.data.source import open_source
from hpcgan.errors import DataError


def make(path: Path, **datasets: np.ndarray) -> str:
    """Write a data file and return its name."""
    with h5py.File(path, "w") as file:
        for name, array in datasets.items():
            file[name] = array
    return str(path)


def images(count: int, shape: tuple[int, ...] = (3, 2, 1), dtype: str = "uint8") -> np.ndarray:
    """Return ``count`` samples, no two values of which are next to their equal."""
    size = count * int(np.prod(shape))
    return (np.arange(size) % 251).astype(dtype).reshape(count, *shape)


def refusal(*files: str, images: str = "images", labels: str | None = None) -> str:
    """Return what ``open_source`` says of wrong files; check that it is one line."""
    with pytest.raises(DataError) as caught:
        open_source(list(files), images, labels)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("shape", [(3, 2, 1), (4, 3, 2, 2)])
def test_several_files_are_one_array_in_the_order_given(
    tmp_path: Path, dtype: str, shape: tuple[int, ...]
) -> None:
    whole = images(9, shape, dtype)
    names = ["b.h5", "a.h5", "c.h5"]
    parts = np.split(whole, [4, 5])
    files = [make(tmp_path / name, images=part) for name, part in zip(names, parts, strict=True)]
    source = open_source(files, "images", None)
    assert (len(source), source.lengths) == (9, (4, 1, 4))
    assert (source.sample_shape, source.dtype) == (shape, dtype)
    read = source.read(range(9))
    assert read.dtype == dtype
    assert np.array_equal(read, whole)


@pytest.fixture(scope="module")
def four_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], np.ndarray]:
    """Return files of 3, 0, 1 and 5 samples, and those samples."""
    directory = tmp_path_factory.mktemp("four")
    whole = images(9)
    parts = np.split(whole, [3, 3, 4])
    files = [make(directory / f"{n}.h5", images=part) for n, part in enumerate(parts)]
    return files, whole


@settings(max_examples=60)
@given(bounds=st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted))
def test_a_range_is_the_slice_of_the_joined_files(
    four_files: tuple[list[str], np.ndarray], bounds: list[int]
) -> None:
    files, whole = four_files
    start, stop = bounds
    read = open_source(files, "images", None).read(range(start, stop))
    assert read.shape == (stop - start, 3, 2, 1)
    assert np.array_equal(read, whole[start:stop])


def test_a_dataset_in_a_group_and_under_another_name_is_found(tmp_path: Path) -> None:
    file = make(tmp_path / "a.h5", **{"train/x": images(2), "train/y": np.arange(2)})
    assert len(open_source([file], "train/x", "train/y")) == 2


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_labels_may_be_integers_or_float32(tmp_path: Path, dtype: str) -> None:
    file = make(tmp_path / "a.h5", images=images(2), labels=np.zeros(2, dtype))
    assert len(open_source([file], "images", "labels")) == 2


def test_a_missing_file_is_told_with_where_it_was_looked_for(tmp_path: Path) -> None:
    there = make(tmp_path / "a.h5", images=images(2))
    missing = str(tmp_path / "missing.h5")
    assert refusal(there, missing) == (
        f"{missing}: there is no such data file (seen from {Path.cwd()})"
    )
    assert refusal(str(tmp_path)).startswith(f"{tmp_path}: there is no such data file")


@pytest.mark.parametrize("content", [b"", b"name,age\n", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_a_file_that_is_not_hdf5_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    assert refusal(str(path)).startswith(f"{path}: not readable as HDF5: ")


def test_a_missing_dataset_is_told_with_those_there(tmp_path: Path) -> None:
    file = make(tmp_path / "a.h5", pictures=images(2), digits=np.arange(2))
    assert refusal(file) == (
        f"{file}: there is no dataset 'images'; its datasets are: digits, pictures"
    )
    assert refusal(file, images="pictures", labels="labels") == (
        f"{file}: there is no dataset 'labels'; its datasets are: digits, pictures"
    )


def test_a_group_is_no_dataset(tmp_path: Path) -> None:
    file = make(tmp_path / "a.h5", **{"images/train": images(2)})
    assert refusal(file) == f"{file}: there is no dataset 'images'; its datasets are: none"


@pytest.mark.parametrize("shape", [(), (4,), (4, 3, 2), (2, 2, 2, 2, 2, 2), (4, 0, 2, 1)])
def test_a_shape_that_is_no_row_of_samples_is_told(tmp_path: Path, shape: tuple[int, ...]) -> None:
    file = make(tmp_path / "a.h5", images=np.zeros(shape, np.uint8))
    assert refusal(file) == (
        f"{file}: dataset 'images' has shape {shape}; it must be (N, H, W, C) or (N, D, H, W, C)"
    )


@pytest.mark.parametrize("dtype", ["float64", "int8", "uint16", "float16", "bool"])
def test_a_dtype_that_is_not_trained_on_is_told(tmp_path: Path, dtype: str) -> None:
    file = make(tmp_path / "a.h5", images=images(2).astype(dtype))
    assert refusal(file) == (
        f"{file}: dataset 'images' has dtype {dtype}; it must be uint8 or float32"
    )


@pytest.mark.parametrize("other", [images(3, (3, 3, 1)), images(3, (3, 2, 1), "float32")])
def test_files_that_disagree_are_both_told(tmp_path: Path, other: np.ndarray) -> None:
    first = make(tmp_path / "a.h5", images=images(2))
    second = make(tmp_path / "b.h5", images=other)
    assert refusal(first, first, second) == (
        f"{second}: 'images' holds {other.dtype} samples of shape {other.shape[1:]}, but "
        f"{first} holds uint8 of shape (3, 2, 1); all files must agree"
    )


@pytest.mark.parametrize("shape", [(3,), (2, 1), ()])
def test_labels_of_another_shape_are_told(tmp_path: Path, shape: tuple[int, ...]) -> None:
    file = make(tmp_path / "a.h5", images=images(2), labels=np.zeros(shape, np.uint8))
    assert refusal(file, labels="labels") == (
        f"{file}: dataset 'labels' has shape {shape}; for 2 samples it must be (2,)"
    )


@pytest.mark.parametrize("dtype", ["float64", "S3", "bool"])
def test_labels_of_another_kind_are_told(tmp_path: Path, dtype: str) -> None:
    file = make(tmp_path / "a.h5", images=images(2), labels=np.zeros(2, dtype))
    message = refusal(file, labels="labels")
    assert message.startswith(f"{file}: dataset 'labels' has dtype ")
    assert message.endswith("; labels are integers or float32")


def test_a_file_that_vanishes_between_looking_and_reading_is_told(tmp_path: Path) -> None:
    files = [make(tmp_path / f"{n}.h5", images=images(3)) for n in range(2)]
    source = open_source(files, "images", None)
    Path(files[1]).unlink()
    assert np.array_equal(source.read(range(0, 3)), images(3))
    with pytest.raises(DataError) as caught:
        source.read(range(2, 5))
    message = str(caught.value)
    assert message.startswith(f"{files[1]}: samples 0 to 1 of 'images' cannot be read: ")
    assert "\n" not in message
