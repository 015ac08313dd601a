"""Mappings of values, there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcgan.data import values
from hpcgan.data.values import Step

X = np.array([-3.0, 0.0, 0.5, 10.0, 1000.0])


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("identity", X),
        ("scale:2,-1", [-7, -1, 0, 19, 1999]),
        ("log10:0.1", [-1, -1, np.log10(0.5), 1, 3]),
        ("symlog:10", [-np.log10(1.3), 0, np.log10(1.05), np.log10(2), np.log10(101)]),
        ("minmax:-3,1000", [-1, 2 * 3 / 1003 - 1, 2 * 3.5 / 1003 - 1, 2 * 13 / 1003 - 1, 1]),
    ],
)
def test_what_each_mapping_gives(word: str, expected) -> None:
    step = Step.parse(word)
    np.testing.assert_allclose(step.forward(X), expected, rtol=1e-14, atol=1e-15)
    assert str(step) == word
    back = np.where(X > 0.1, X, 0) if step.name == "log10" else X
    np.testing.assert_allclose(step.inverse(step.forward(X)), back, rtol=1e-12, atol=1e-12)


def test_several_are_applied_in_turn_and_undone_in_reverse() -> None:
    steps = values.parse("log10:0.01 minmax:-2,4")
    y = values.forward(steps, np.array([0.01, 10.0, 10000.0]))
    np.testing.assert_allclose(y, [-1, 0, 1], atol=1e-15)
    x = values.inverse(steps, y.astype(np.float32))
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, [0, 10, 10000], rtol=1e-6)
    assert values.as_text(steps) == "log10:0.01 minmax:-2,4"


def test_without_steps_nothing_changes() -> None:
    y = np.array([1, 2], np.uint8)
    assert values.parse("") == ()
    assert values.inverse((), y) is y


def test_what_float32_rounds_at_the_floor_comes_back_as_nothing() -> None:
    for floor in (1e-6, 0.3, 7.0):
        step = Step("log10", (floor,))
        at_floor = step.forward(np.array([0.0, floor])).astype(np.float32)
        np.testing.assert_array_equal(step.inverse(at_floor), [0, 0])


def test_what_is_beyond_float32_is_infinite() -> None:
    assert np.isposinf(values.inverse(values.parse("log10:1"), np.array([50.0])))


@given(
    st.sampled_from(["scale", "symlog", "minmax"]),
    st.floats(1e-6, 1e6),
    st.floats(-1e6, 1e6),
    st.lists(st.floats(-1e6, 1e6), min_size=1),
)
def test_any_value_comes_back(name: str, a: float, b: float, x: list[float]) -> None:
    numbers = {"scale": (a, b), "symlog": (a,), "minmax": (b, b + 1 + a)}[name]
    step = Step.parse(str(Step(name, numbers)))
    assert step.numbers == numbers  # the text keeps all digits
    scale = max(1, abs(b), *map(abs, x)) * max(1, 1 / a)
    np.testing.assert_allclose(
        step.inverse(step.forward(np.array(x))), x, rtol=1e-9, atol=1e-9 * scale
    )


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("log", "'log' is none of identity, scale, log10, symlog, minmax"),
        ("log10", "log10 takes 1 finite numbers"),
        ("scale:1", "scale takes 2 finite numbers"),
        ("scale:1,x", "'1,x' are no numbers"),
        ("scale:nan,0", "scale takes 2 finite numbers"),
        ("identity:1", "identity takes 0 finite numbers"),
        ("scale:0,1", "scale:0,1 cannot be undone"),
        ("log10:0", "log10:0 cannot be undone"),
        ("symlog:-1", "symlog:-1 cannot be undone"),
        ("minmax:2,2", "minmax:2,2 cannot be undone"),
        ("minmax:1", "minmax takes 2 finite numbers"),
    ],
)
def test_what_is_no_mapping(word: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Step.parse(word)
