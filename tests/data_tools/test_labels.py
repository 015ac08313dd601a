"""Labels of any kind become classes or conditions, or are refused."""

from __future__ import annotations

import numpy as np
import pytest

from data_tools import labels
from data_tools.account import Account
from hpcgan.errors import DataError


def stored(array, samples: int, classes: tuple[str, ...] = ()):
    """Return labels as they are stored, the names of classes and what is said."""
    account = Account()
    found, names = labels.as_stored(np.asarray(array), classes, samples, "a", account)
    return found, names, account.lines()


@pytest.mark.parametrize(
    ("array", "expected", "said"),
    [
        (np.array([2, 0, 1], "u1"), [2, 0, 1], []),
        (np.array([[2], [0], [1]]), [2, 0, 1], ["labels (3, 1) became (3,)"]),
        (np.array([[2, 0, 1]]), [2, 0, 1], ["labels (1, 3) became (3,)"]),
        (np.full((3, 1, 1, 1), 7, ">i8"), [7, 7, 7], ["labels (3, 1, 1, 1) became (3,)"]),
        (np.eye(4)[[3, 0, 1]], [3, 0, 1], ["labels one-hot (3, 4) became their classes"]),
        (
            np.eye(4, dtype=bool)[[3, 0, 1]][:, np.newaxis],
            [3, 0, 1],
            ["labels (3, 1, 4) became (3, 4)", "labels one-hot (3, 4) became their classes"],
        ),
        (np.array([True, False, True]), [1, 0, 1], ["labels false and true became 0 and 1"]),
        (np.array([-(2**31), 0, 2**31 - 1]), [-(2**31), 0, 2**31 - 1], []),
    ],
)
def test_classes(array: np.ndarray, expected: list[int], said: list[str]) -> None:
    found, _, lines = stored(array, 3)
    np.testing.assert_array_equal(found, np.array(expected, np.int32), strict=True)
    assert lines == said


def test_integers_that_need_more_than_32_bits_keep_all() -> None:
    for value in (2**31, -(2**31) - 1, 2**63 - 1):
        found, _, _ = stored(np.array([0, value]), 2)
        np.testing.assert_array_equal(found, np.array([0, value], np.int64), strict=True)
    with pytest.raises(DataError, match=f"a label is {2**63}, which is beyond 64-bit integers"):
        stored(np.array([0, 2**63], np.uint64), 2)


def test_texts_are_classes_in_the_order_of_their_names() -> None:
    for array in (["cow", "ant", "cow"], [b"cow", b"ant", b"cow"]):
        found, names, said = stored(np.array(array), 3)
        np.testing.assert_array_equal(found, np.array([1, 0, 1], np.int32), strict=True)
        assert names == ("ant", "cow")
        assert said == ["labels of 2 texts became classes, in the order of their names"]
    assert stored(np.array(["10", "9", "2"]), 3)[1] == ("2", "9", "10")
    assert stored(np.array([b"\xff", b"\xc3\xa4"]), 2)[1] == ("\\xff", "ä")
    with pytest.raises(DataError, match=r"the labels are texts of shape \(2, 2\); one a sample"):
        stored(np.array([["a", "b"], ["c", "d"]]), 2)


def test_names_that_the_source_gives_stay() -> None:
    assert stored([1, 0], 2, ("ant", "bee"))[1] == ("ant", "bee")
    assert stored(np.eye(2), 2, ("ant", "bee"))[1] == ("ant", "bee")
    assert stored([0.5, 0.1], 2, ("ant", "bee"))[1] == ()


def test_conditions() -> None:
    found, _, said = stored(np.array([0.5, 0.1], "f8"), 2)
    np.testing.assert_array_equal(found, np.array([0.5, 0.1], np.float32), strict=True)
    assert said == ["labels rounded from float64 to float32"]
    several = np.array([[0.5, 1], [2, 3]], "f4")
    found, _, said = stored(several, 2)
    np.testing.assert_array_equal(found, several, strict=True)
    assert said == []
    _, _, said = stored(np.array([1.0, 3.0]), 2)
    assert said == [
        "labels are whole numbers in float64: they stay real conditions; classes are integers"
    ]


@pytest.mark.parametrize(
    ("array", "samples", "message"),
    [
        ([1, 2], 3, "the labels have shape (2,); for 3 images they must be (3,), "),
        (np.zeros((2, 2, 2)), 2, "the labels have shape (2, 2, 2); for 2 images"),
        (np.array(3), 2, "the labels have shape (); for 2 images"),
        ([[1, 2], [0, 1]], 2, "but are not one-hot: each sample has one class"),
        ([[1, 1], [0, 1]], 2, "but are not one-hot"),
        ([1j, 2], 2, "the labels have dtype complex128; they must be numbers or texts"),
        ([0.5, np.nan], 2, "the label of sample 1 is nan"),
        ([[0.5, 1], [np.inf, 1]], 2, "the label of sample 1 is [inf  1.]"),
        ([0.5, 2.0**24 + 1], 2, "the label of sample 1 is 16777217.0, which float32 does not hold"),
        ([0.5, 1e39], 2, "the label of sample 1 is 1e+39, which float32 does not hold"),
    ],
)
def test_labels_that_cannot_be_stored(array, samples: int, message: str) -> None:
    with pytest.raises(DataError) as refused:
        stored(array, samples)
    assert str(refused.value).startswith("a: ")
    assert message in str(refused.value)


def test_what_is_said_of_labels() -> None:
    names = ("ant", "bee", "cow")
    assert labels.describe(np.array([0, 2, 2]), names) == (
        "2 classes: 0 ant: 1, 2 cow: 2; no sample has bee"
    )
    assert labels.describe(np.array([-1, 7]), ()) == "2 classes: -1: 1, 7: 1"
    many = labels.describe(np.arange(30), ())
    assert many.startswith("30 classes: 0: 1, 1: 1, ")
    assert many.endswith("16: 1, ..., 28: 1, 29: 1")
    assert labels.describe(np.array([0]), tuple(map(str, range(30)))).endswith(", 20, ...")
    assert labels.describe(np.array([0.5, -1], "f4"), ()) == "labels from -1 to 0.5"
    columns = np.array([[0, 5], [1, 6]], "f4")
    assert labels.describe(columns, ()) == "labels from 0 to 1, 5 to 6"
    assert labels.describe(np.zeros((1, 50), "f4"), ()).endswith("0 to 0, ... (50 values)")
