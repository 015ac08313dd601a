"""Tensors as one vector: what is joined is what is split, and each begins where it may."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from hpcgan.gan.vector import Vector

SHAPES = [(3, 5), (), (16,), (0,), (2, 16)]


def tensors() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(np.float32) for shape in SHAPES]


def test_tensors_lie_in_rows_of_16_filled_up_with_zeros() -> None:
    given = tensors()
    vector = Vector(SHAPES)
    expected = np.concatenate(
        [given[0].ravel(), [0], [given[1]], np.zeros(15), given[2], given[4].ravel()]
    )
    assert vector.length == 5 * 16
    np.testing.assert_array_equal(vector.join([tf.constant(t) for t in given]), expected)


def test_what_was_joined_is_what_is_split() -> None:
    vector = Vector(SHAPES)

    @tf.function
    def there_and_back(*given: tf.Tensor) -> list[tf.Tensor]:
        return vector.split(vector.join(list(given)))

    for found, given in zip(there_and_back(*tensors()), tensors(), strict=True):
        np.testing.assert_array_equal(found, given)


def test_halves_are_joined_as_float32() -> None:
    joined = Vector([(2,)]).join([tf.constant([0.5, 2.0], tf.float16)])
    assert joined.dtype == tf.float32
    np.testing.assert_array_equal(joined, [0.5, 2.0, *[0.0] * 14])
