"""Samples in any order of axes become (H, W, C) or (D, H, W, C), or are refused."""

from __future__ import annotations

import numpy as np
import pytest

from data_tools.account import Account
from data_tools.axes import arrange
from data_tools.formats import of_array
from hpcgan.errors import DataError


def arranged(array: np.ndarray, layout=None, sample=None, known=None) -> tuple[np.ndarray, list]:
    """Return all samples as ``arrange`` gives them, and what is said."""
    account = Account()
    images = arrange(of_array(array, None, "a", layout=known), layout, sample, account)
    read = images.read(range(len(images)))
    assert read.shape == images.shape
    return read, account.lines()


def values(*shape: int) -> np.ndarray:
    """Return an array of which no two values are the same."""
    return np.arange(np.prod(shape)).reshape(shape)


@pytest.mark.parametrize(
    ("layout", "shape", "expected"),
    [
        ("NHWC", (2, 3, 4, 5), lambda a: a),
        ("NCHW", (2, 3, 4, 5), lambda a: np.moveaxis(a, 1, -1)),
        ("NDHWC", (2, 3, 4, 5, 6), lambda a: a),
        ("NCDHW", (2, 3, 4, 5, 6), lambda a: np.moveaxis(a, 1, -1)),
        ("NHW", (2, 3, 4), lambda a: a[..., np.newaxis]),
        ("NDHW", (2, 3, 4, 5), lambda a: a[..., np.newaxis]),
        # What was H x W (x C) x N in MATLAB.
        ("MATLAB", (2, 3, 4), lambda a: np.moveaxis(a.T, -1, 0)[..., np.newaxis]),
        ("MATLAB", (2, 3, 4, 5), lambda a: np.moveaxis(a.T, -1, 0)),
        ("MATLAB", (2, 3, 4, 5, 6), lambda a: np.moveaxis(a.T, -1, 0)),
    ],
)
def test_a_layout_says_what_the_axes_are(layout: str, shape, expected) -> None:
    array = values(*shape)
    read, said = arranged(array, layout)
    np.testing.assert_array_equal(read, expected(array))
    if read.shape != array.shape:
        assert said == [f"samples {shape[1:]} became {read.shape[1:]} ({layout})"]
    with pytest.raises(DataError, match=rf"^a: .* has 2 axes; --layout {layout} has "):
        arranged(values(6, 6), layout)


@pytest.mark.parametrize("shape", [(2, 9, 8, 4), (2, 9, 8, 1), (2, 9, 8, 7, 3)])
def test_last_axes_that_can_only_be_channels_stay(shape: tuple[int, ...]) -> None:
    read, said = arranged(values(*shape))
    np.testing.assert_array_equal(read, values(*shape))
    assert said == []


def test_a_run_is_read_as_such() -> None:
    array = values(7, 3, 9, 8)
    images = arrange(of_array(array, None, "a"), "NCHW", None, Account())
    np.testing.assert_array_equal(images.read(range(2, 5)), np.moveaxis(array, 1, -1)[2:5])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (5, 3, 9, 8),
            "the channels seem to be first; --layout NCHW puts them last, --layout NHWC",
        ),
        ((5, 1, 9, 8, 7), "the channels seem to be first; --layout NCDHW puts them last"),
        ((5, 25, 25, 25), "NDHW that these are volumes"),
        ((5, 6, 7, 8, 9), "--layout NDHWC says that there are 9 channels"),
        ((5, 784), "--shape D,H,W or H,W gives theirs"),
        ((5,), "they must be "),
        ((5, 0, 4, 1), "there are no values"),
        ((5, 2, 2, 2, 2, 2), "they must be "),
    ],
)
def test_axes_that_can_be_meant_in_several_ways(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(DataError) as refused:
        arranged(np.zeros(shape))
    assert str(refused.value).startswith(f"a: the images have shape {shape}")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("sample", "layout", "expected"),
    [
        ((9, 16), None, (9, 16, 1)),
        ((6, 8, 3), "NDHW", (6, 8, 3, 1)),
        ((6, 8, 3), "NHWC", (6, 8, 3)),
        ((6, 6, 4, 1), None, (6, 6, 4, 1)),
    ],
)
def test_flattened_samples_have_the_shape_that_is_given(sample, layout, expected) -> None:
    array = values(3, 144)
    read, _ = arranged(array, layout, sample)
    np.testing.assert_array_equal(read, array.reshape(3, *expected))


def test_three_sides_are_those_of_a_volume_unless_one_may_be_channels() -> None:
    array = values(2, 45 * 16 * 9)
    read, said = arranged(array, None, (45, 16, 9))
    np.testing.assert_array_equal(read, array.reshape(2, 45, 16, 9, 1))
    assert said == ["samples (6480,) became (45, 16, 9, 1) (NDHW)"]
    for sample in ((8, 6, 3), (3, 8, 6)):
        with pytest.raises(DataError, match="can be meant in several ways: --layout NDHW"):
            arranged(values(2, 144), None, sample)


def test_a_shape_of_another_number_of_values() -> None:
    with pytest.raises(DataError) as refused:
        arranged(np.zeros((2, 10)), None, (3, 3))
    assert str(refused.value) == "a: samples of shape (10,) have 10 values, and --shape 3,3 has 9"


def test_axes_that_a_format_knows() -> None:
    array = values(2, 3, 9, 8)
    read, said = arranged(array, known="NCHW")
    np.testing.assert_array_equal(read, np.moveaxis(array, 1, -1))
    assert said == ["samples (3, 9, 8) became (9, 8, 3) (NCHW)"]
    arranged(array, "NCHW", known="NCHW")
    with pytest.raises(DataError, match="its axes are NCHW, which is known of such sources"):
        arranged(array, "NHWC", known="NCHW")
