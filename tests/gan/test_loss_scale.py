"""The scale of the losses: when it doubles, when it halves, and where it stays."""

from __future__ import annotations

import tensorflow as tf

from hpcgan.gan.loss_scale import LossScale


def _adapted(finite, scale, good=0):
    """Return the scale and the number of good updates after one more."""
    tested = LossScale()
    tested.scale.assign(scale)
    tested.good.assign(good)
    tested.adapt(tf.constant(finite))
    return float(tested.scale), int(tested.good)


def test_it_begins_at_two_to_the_15th() -> None:
    assert float(LossScale().scale) == 2.0**15


def test_the_2000th_good_update_in_a_row_doubles_it() -> None:
    assert _adapted(True, 8.0, 1998) == (8.0, 1999)
    assert _adapted(True, 8.0, 1999) == (16.0, 0)


def test_an_overflow_halves_it_and_the_count_begins_again() -> None:
    assert _adapted(False, 8.0, 1999) == (4.0, 0)


def test_it_is_never_below_1() -> None:
    assert _adapted(False, 1.0) == (1.0, 0)
