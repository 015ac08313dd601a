"""What data files may hold, what is refused with the way out, and what their attributes say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from data_tools.conversion import Conversion
from data_tools.convert import convert
from hpcgan.config import DataConfig
from hpcgan.data import kinds
from hpcgan.data.source import Source, open_source
from hpcgan.errors import DataError
from hpcgan.world import World


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Any]:
    with h5py.File(tmp_path / "a.h5", "w") as opened:
        yield opened


def samples(file: Any, shape: tuple[int, ...], dtype: Any = "uint8", name: str = "images") -> str:
    """Return what is wrong with samples of a shape, or ""."""
    array = file.create_dataset(name, shape, dtype)
    return kinds.wrong_samples(array, name)


@pytest.mark.parametrize(
    ("shape", "first", "last"),
    [
        ((9, 1, 28, 28), "NCHW", "NHWC"),
        ((9, 4, 5, 5), "NCHW", "NHWC"),
        ((9, 3, 8, 8, 8), "NCDHW", "NDHWC"),
    ],
)
def test_channels_that_seem_to_be_first_are_refused_unless_the_file_says_otherwise(
    file: Any, shape: tuple[int, ...], first: str, last: str
) -> None:
    said = samples(file, shape)
    volumes = ", NDHW that these are volumes without one" if len(shape) == 4 else ""
    assert said == (
        f"'images' has shape {shape}: the axis of the channels seems to be first, and it must be "
        f"last; hpcgan-data convert {file.filename} OUT.h5 --layout {first} puts it there "
        f"(--layout {last} says that it is last already{volumes})"
    )
    file["images"].attrs["layout"] = last
    assert kinds.wrong_samples(file["images"], "images") == ""
    file["images"].attrs["layout"] = first  # what convert never writes
    assert kinds.wrong_samples(file["images"], "images") == said


@pytest.mark.parametrize("shape", [(9, 4, 5, 4), (9, 5, 5, 5), (9, 1, 1, 1), (9, 3, 8, 8, 1)])
def test_other_shapes_are_taken_as_they_are(file: Any, shape: tuple[int, ...]) -> None:
    assert samples(file, shape) == ""


def test_matlabs_arrays_are_refused_by_their_attribute(file: Any) -> None:
    array = file.create_dataset("x", (9, 3, 8, 8), "float64")
    array.attrs["MATLAB_class"] = np.bytes_("double")
    assert kinds.wrong_samples(array, "x") == (
        f"'x' is MATLAB's, which writes the axes in reverse; hpcgan-data convert {file.filename} "
        "OUT.h5 --images x --layout MATLAB puts them in order"
    )


def test_matlabs_files_are_refused_by_their_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["images"] = np.zeros((9, 8, 8, 3), np.uint8)
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")
    with h5py.File(path) as file:
        assert "--layout MATLAB" in kinds.wrong_samples(file["images"], "images")


@pytest.mark.parametrize("dtype", ["float16", "float64", "bool", "int8", "uint16", "int64"])
def test_numbers_of_other_kinds_are_left_to_convert(file: Any, dtype: str) -> None:
    assert samples(file, (9, 8, 8, 1), dtype) == (
        f"'images' has dtype {dtype}; it must be uint8 or float32; hpcgan-data convert "
        f"{file.filename} OUT.h5 makes it so"
    )


def test_what_convert_cannot_mend_names_no_command(file: Any) -> None:
    for name, shape, dtype in (("a", (9, 8, 8, 1), "S3"), ("b", (9, 0, 8, 1), "u1")):
        assert "convert" not in samples(file, shape, dtype, name)
    assert samples(file, (9, 28, 28), name="c").endswith(" OUT.h5 --images c makes it so")


@pytest.mark.parametrize(
    ("shape", "dtype"), [((9,), "int8"), ((9,), "uint64"), ((9,), "f4"), ((9, 2), "f4")]
)
def test_labels_are_classes_or_conditions(file: Any, shape: tuple[int, ...], dtype: str) -> None:
    array = file.create_dataset("labels", shape, dtype)
    assert kinds.wrong_labels(array, "labels", 9) == ""


@pytest.mark.parametrize(
    ("shape", "dtype", "said"),
    [
        ((8,), "i4", "has shape (8,); for 9 samples it must be (9,), or (9, K) with K from 2"),
        ((9, 1), "f4", "conditions of K values; hpcgan-data convert makes them so"),
        ((1, 9), "i4", "has shape (1, 9); for 9 samples it must be (9,), or (9, K)"),
        ((), "i4", "has shape (); for 9 samples it must be (9,)"),
        ((9, 2, 2), "f4", "has shape (9, 2, 2); for 9 samples"),
        ((9, 1001), "f4", "K from 2 to 1000 for conditions of K values"),
        ((9, 3), "i4", "one integer a sample for classes, float32 for conditions; hpcgan-data"),
        ((9,), "f8", "has dtype float64 and shape (9,); labels are one integer a sample"),
        ((9,), "?", "has dtype bool and shape (9,); labels are"),
        ((9,), h5py.string_dtype(), "hpcgan-data convert makes them so"),
    ],
)
def test_other_labels_are_refused(file: Any, shape: tuple[int, ...], dtype: Any, said: str) -> None:
    array = file.create_dataset("labels", shape, dtype)
    assert said in kinds.wrong_labels(array, "labels", 9)


def test_names_of_classes_are_text_whatever_they_are_stored_as(file: Any) -> None:
    array = file.create_dataset("labels", (9,), "i4")
    assert kinds.class_names(array) == []
    for names in (["Katze", "größer"], np.array([b"Katze", "größer".encode()])):
        array.attrs["classes"] = names
        assert kinds.class_names(array) == ["Katze", "größer"]
    array.attrs["classes"] = [b"\xffx"]
    assert kinds.class_names(array) == ["\\xffx"]
    array.attrs["classes"] = ["x" * 2**15] * 3
    assert kinds.class_names(array) is None


def write(path: Path, classes: list[str] | None, values: str | None, labels: Any = None) -> str:
    """Write a data file of five samples and return its name."""
    with h5py.File(path, "w") as file:
        file["images"] = np.zeros((5, 2, 2, 1), np.float32)
        file["labels"] = np.zeros(5, np.int32) if labels is None else labels
        if values is not None:
            file["images"].attrs["values"] = values
        if classes is not None:
            file["labels"].attrs["classes"] = classes
    return str(path)


def opened(world: World, *files: str) -> Source:
    return open_source(world, DataConfig(files=list(files), labels="labels"))


def test_a_source_has_the_mapping_and_the_names_of_its_files(world: World, tmp_path: Path) -> None:
    files = [write(tmp_path / f"{n}.h5", ["a", "b"], "log10:0.1 scale:2,1") for n in range(2)]
    source = opened(world, *files)
    assert (source.values, source.classes) == ("log10:0.1 scale:2,1", ("a", "b"))
    source = opened(world, write(tmp_path / "c.h5", None, None))
    assert (source.values, source.classes) == ("", ())


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ((["a", "b"], "scale:3,0"), "its values were mapped by scale:3,0, and those of {} by sca"),
        ((["a", "b"], None), "its values were mapped by nothing, and those of {} by scale:2,0"),
        ((["b", "a"], "scale:2,0"), "its classes have other names than those of {} (attribute"),
        (
            (["a", "b"], "scale:2,0", np.zeros((5, 3), np.float32)),
            "'labels' has labels of shape (3,), and {} of shape (); all files must agree",
        ),
    ],
)
def test_files_that_mean_different_things_are_no_one_array(
    world: World, tmp_path: Path, other: tuple[Any, ...], said: str
) -> None:
    files = [write(tmp_path / "0.h5", ["a", "b"], "scale:2,0"), write(tmp_path / "1.h5", *other)]
    with pytest.raises(DataError) as caught:
        opened(world, *files)
    assert str(caught.value).startswith(f"{files[1]}: {said.format(files[0])}")


@pytest.mark.parametrize("values", ["minmax", "log10:0", "cube:1", "scale:1,nan"])
def test_an_attribute_that_names_no_mapping_is_refused(
    world: World, tmp_path: Path, values: str
) -> None:
    file = write(tmp_path / "a.h5", None, values)
    with pytest.raises(DataError) as caught:
        opened(world, file)
    begin = f"{file}: the attribute 'values' of 'images' names no mapping: "
    assert str(caught.value).startswith(begin)


def test_labels_of_several_values_are_read_in_order(world: World, tmp_path: Path) -> None:
    both = np.arange(20, dtype=np.float32).reshape(10, 2)
    files = [
        write(tmp_path / f"{n}.h5", None, None, part) for n, part in enumerate(np.split(both, 2))
    ]
    assert opened(world, *files).read_labels().tolist() == both.tolist()


@pytest.mark.parametrize("layout", ["NHWC", "NDHW"])
def test_a_converted_file_says_where_its_channels_are_if_that_was_said(
    world: World, tmp_path: Path, layout: Any
) -> None:
    pixels = (np.arange(5 * 3 * 6 * 7) % 251).astype(np.uint8).reshape(5, 3, 6, 7)
    np.save(tmp_path / "a.npy", pixels)
    convert(tmp_path / "a.h5", Conversion(tmp_path / "a.npy", layout=layout), world)
    with h5py.File(tmp_path / "a.h5") as file:
        stated = "NHWC" if layout == "NHWC" else "NDHWC"
        assert file["images"].attrs["layout"] == stated
        assert (file["images"][:].reshape(pixels.shape) == pixels).all()
    source = open_source(world, DataConfig([str(tmp_path / "a.h5")]))
    assert source.sample_shape == ((3, 6, 7) if layout == "NHWC" else (3, 6, 7, 1))
