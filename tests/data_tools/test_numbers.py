"""Values of any type as they are stored, and what has no value."""

from __future__ import annotations

import numpy as np
import pytest

from data_tools import numbers
from data_tools.account import Account
from data_tools.formats import of_array
from hpcgan.errors import ConfigError, DataError
from hpcgan.world import World


def stored(
    world: World, array: np.ndarray, *words: str, **attributes
) -> tuple[np.ndarray, dict, list[str]]:
    """Return the values that are stored, their attributes and what is said."""
    account = Account()
    images = of_array(array, None, "a", attributes=attributes)
    images = numbers.as_stored(images, numbers.parse(words), account, world)
    read = images.read(range(len(images)))
    assert read.dtype == images.dtype
    return read, images.attributes, account.lines()


def test_what_becomes_of_each_type(world) -> None:
    same = "and are the same"
    for dtype, said in {
        "u1": [],
        "i8": [f"values became uint8 from int64, {same}"],
        ">i2": [f"values became uint8 from int16, {same}"],
        "f2": [f"values became float32 from float16, {same}"],
        "f4": [],
        ">f4": [],
        "f8": ["values rounded from float64 to float32"],
    }.items():
        array = np.array([[0, 3], [255, 7]], dtype)
        read, attributes, lines = stored(world, array)
        expected = np.uint8 if array.dtype.kind in "iu" else np.float32
        np.testing.assert_array_equal(read, array.astype(expected), strict=True)
        assert attributes == {}
        assert lines == said, dtype
    read, _, lines = stored(world, np.array([[True, False]]))
    np.testing.assert_array_equal(read, np.array([[255, 0]], np.uint8), strict=True)
    assert lines == ["values false and true became 0 and 255"]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([[0, 256]]), "have values from 0 to 256; integers must be from 0 to 255, or --"),
        (np.array([[-1, 2]], np.int8), "have values from -1 to 2; integers must be"),
        (np.array([[1e39, 0]]), "which are beyond float32; --values says how to map them"),
        (np.array([["x"]]), "the images have dtype <U1; they must be numbers"),
        (np.array([[1j]]), "the images have dtype complex128; they must be numbers"),
        (np.array([[0], [np.nan]]), "sample 1 has 1 values nan, which stand for missing ones"),
        (np.array([[np.inf, 0]], "f2"), "sample 0 has 1 values inf, which stand for missing ones"),
    ],
)
def test_values_that_cannot_be_stored(world, array: np.ndarray, message: str) -> None:
    with pytest.raises(DataError) as refused:
        stored(world, array)
    assert message in str(refused.value)
    assert str(refused.value).startswith("a: ")


@pytest.mark.parametrize(
    ("array", "attributes"),
    [
        (np.array([[1, 9.96920996838687e36]], "f4"), {}),
        (np.array([[1, 9.96920996838687e36]], "f8"), {}),
        (np.array([[1, -999.9]], "f4"), {"_FillValue": np.float64(-999.9)}),
        (np.array([[1, -999.9]], "f4"), {"missing_value": np.array([-1, -999.9])}),
        (np.array([[1, 255]], "u1"), {"_FillValue": np.array([255], "u1")}),
        (np.array([[1, -32767]], "i2"), {"_FillValue": -32767, "scale_factor": 2.0}),
    ],
)
def test_fill_values_are_refused(world, array: np.ndarray, attributes) -> None:
    with pytest.raises(DataError) as refused:
        stored(world, array, **attributes)
    assert str(refused.value).startswith("a: sample 0 has 1 values ")
    assert "which stand for missing ones; leave such samples out" in str(refused.value)


def test_fill_values_that_no_value_has_are_no_matter(world) -> None:
    array = np.array([[1, 254]], "u1")
    read, attributes, _ = stored(world, array, _FillValue=-1, missing_value=300.5)
    np.testing.assert_array_equal(read, array)
    assert attributes == {}
    halves = np.array([[1, 254]], "f2")
    np.testing.assert_array_equal(stored(world, halves, _FillValue=1e30)[0], halves)


def test_packed_values_are_unpacked(world) -> None:
    packed = np.array([[-100, 0, 300]], "i2")
    read, attributes, said = stored(world, packed, scale_factor=np.array([0.5], "f4"), add_offset=9)
    np.testing.assert_array_equal(read, np.array([[-41, 9, 159]], np.float32), strict=True)
    assert said[0] == "values unpacked: 0.5 x + 9 (scale_factor, add_offset)"
    assert attributes == {}
    for wrong in ({"scale_factor": 0.0}, {"add_offset": np.nan}, {"scale_factor": [1.0, 2.0]}):
        with pytest.raises(DataError, match="by which values cannot be unpacked"):
            stored(world, packed, **wrong)
    with pytest.raises(DataError, match=r"the attribute scale_factor is .*, no number"):
        stored(world, packed, scale_factor="two")


def test_mapped_values_and_how_they_were(world) -> None:
    array = np.array([[0, 50, 100]])
    read, attributes, said = stored(world, array, "scale:0.5,0", "minmax")
    np.testing.assert_array_equal(read, np.array([[-1, 0, 1]], np.float32), strict=True)
    assert attributes == {"values": "scale:0.5,0 minmax:0,50"}
    assert said == [
        "values mapped by scale:0.5,0 minmax:0,50, as the attribute 'values' keeps",
    ]
    read, attributes, said = stored(world, array, "log10:10")
    np.testing.assert_allclose(read, [[1, np.log10(50), 2]], rtol=1e-6)
    assert said[1] == "values below 10 are raised to it, and come back as 0"
    read, attributes, _ = stored(world, array, "identity")
    assert (read.dtype, attributes) == (np.uint8, {})


def test_a_source_that_was_mapped_keeps_how(world) -> None:
    array = np.array([[-1, 0.5]], "f4")
    read, attributes, said = stored(world, array, values="log10:0.001")
    np.testing.assert_array_equal(read, array)
    assert attributes == {"values": "log10:0.001"}
    assert said == ["values of the source were mapped by log10:0.001, and stay so"]
    read, attributes, _ = stored(world, array, "scale:2,0", values=np.array("log10:0.001"))
    np.testing.assert_array_equal(read, 2 * array)
    assert attributes == {"values": "log10:0.001 scale:2,0"}
    with pytest.raises(DataError, match="the attribute 'values' of the images is 'seconds', which"):
        stored(world, array, values="seconds")


def test_values_without_a_range(world) -> None:
    with pytest.raises(DataError, match="all values are 3: there is no range for minmax"):
        stored(world, np.full((2, 2), 3.0), "minmax")


def test_words_that_are_no_mappings() -> None:
    with pytest.raises(ConfigError, match=r"^--values: 'log' is none of identity, "):
        numbers.parse(["log"])
