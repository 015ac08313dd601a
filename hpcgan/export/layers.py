"""The layers around an exported generator: what it takes and gives is in the data's units.

A ``.keras`` file names layers of hpcgan. This module, imported before ``keras.models.load_model``,
makes all of them known to Keras: these, and those of the networks. It needs no MPI.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

import hpcgan.gan.models  # noqa: F401  # whose layers it registers
from hpcgan.data import values as mappings
from hpcgan.data.values import Step


@keras.saving.register_keras_serializable("hpcgan")
class NetworkLabels(keras.Layer):
    """Real labels as networks take them: ``gan.conditions.as_input``, in a graph."""

    def __init__(self, ranges: Sequence[Sequence[float]], **kwargs: Any) -> None:
        """Prepare it.

        Args:
            ranges: the smallest and the largest of each value of a label.
            kwargs: of every layer.
        """
        super().__init__(**kwargs)
        self.ranges = [list(each) for each in ranges]

    def get_config(self) -> dict[str, Any]:
        """Return what a saved model keeps of the layer."""
        return {**super().get_config(), "ranges": [list(each) for each in self.ranges]}

    def call(self, labels: tf.Tensor) -> tf.Tensor:
        """Return labels (batch,) or (batch, K) in the same shape, float32."""
        (_, largest), *others = self.ranges
        if not others:
            return labels / largest
        columns = [labels[:, 0] / largest]
        columns += [
            (labels[:, number] - low) / (high - low or 1.0)
            for number, (low, high) in enumerate(others, start=1)
        ]
        return tf.stack(columns, axis=1)


@keras.saving.register_keras_serializable("hpcgan")
class DataUnits(keras.Layer):
    """Samples of a generator in the units of the data, or of their source if these were mapped.

    Those of uint8 data become 0 to 255, but stay float32: ``hpcgan generate`` rounds the same
    numbers. Mappings are undone in float64, as ``generate`` does.
    """

    def __init__(self, sample_dtype: str, values: str, **kwargs: Any) -> None:
        """Prepare it.

        Args:
            sample_dtype: "uint8" or "float32", of the data.
            values: how they were mapped (``hpcgan.data.values``), or "".
            kwargs: of every layer.
        """
        super().__init__(**kwargs)
        self.sample_dtype = sample_dtype
        self.values = values

    def get_config(self) -> dict[str, Any]:
        """Return what a saved model keeps of the layer."""
        own = {"sample_dtype": self.sample_dtype, "values": self.values}
        return {**super().get_config(), **own}

    def call(self, samples: tf.Tensor) -> tf.Tensor:
        """Return samples (batch, ...) in the same shape, float32."""
        if self.sample_dtype == "uint8":
            samples = tf.clip_by_value((samples + 1.0) * 127.5, 0.0, 255.0)
        steps = mappings.parse(self.values)
        if not steps:
            return samples
        y = tf.cast(samples, tf.float64)
        for step in reversed(steps):
            y = _inverse(step, y)
        return tf.cast(y, tf.float32)


def _inverse(step: Step, y: tf.Tensor) -> tf.Tensor:
    """Return what ``Step.inverse`` returns, by operations that ONNX has, too."""
    if step.name == "identity":
        return y
    first = step.numbers[0]
    if step.name == "scale":
        return (y - step.numbers[1]) / first
    if step.name == "log10":
        lowest = math.log10(first)
        above = y > lowest + 1e-6 * max(1.0, abs(lowest))
        return tf.where(above, tf.pow(tf.constant(10.0, tf.float64), y), tf.zeros_like(y))
    if step.name == "symlog":
        return tf.sign(y) * (tf.exp(tf.abs(y) * math.log(10)) - 1.0) * first
    return (y + 1.0) / 2.0 * (step.numbers[1] - first) + first
