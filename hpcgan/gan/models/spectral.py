"""Spectral normalisation: layers whose weight is divided by its largest singular value.

Miyato et al., 2018, https://arxiv.org/abs/1802.05957. The singular value is computed in float32.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers

Shape = tuple[int | None, ...]

_SMALLEST_SIGMA = 1e-12


def power_iteration(kernel: tf.Tensor, u: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return an estimate of the kernel's largest singular value, and the next ``u``.

    Algorithm 1 of Miyato et al., where W is the kernel as a matrix (outputs, the rest). The
    gradient takes u and v as constants (equation 11).

    Args:
        kernel: (..., outputs) float32.
        u: (outputs,) float32, of about unit length.
    """
    transposed = tf.reshape(kernel, (-1, kernel.shape[-1]))
    fixed = tf.stop_gradient(transposed)
    v = tf.math.l2_normalize(tf.linalg.matvec(fixed, u))
    u = tf.math.l2_normalize(tf.linalg.matvec(fixed, v, transpose_a=True))
    return tf.tensordot(v, tf.linalg.matvec(transposed, u), 1), u


class _Spectral(keras.Layer):
    """Part of a layer whose weight is divided by its largest singular value."""

    _weight = "kernel"  # its name

    def build(self, input_shape: Shape | None = None) -> None:
        """Create the weights and ``u``."""
        super().build(input_shape)
        outputs = getattr(self, self._weight).shape[-1:]
        self.u = self.add_weight(name="u", shape=outputs, initializer=_unit_vector, trainable=False)

    def add_weight(self, *args: Any, **kwargs: Any) -> keras.Variable:
        """Add a variable that stays float32 under a mixed policy, for the division."""
        return super().add_weight(*args, **{**kwargs, "autocast": False})

    def save_own_variables(self, store: Any) -> None:
        """Save all variables, ``u`` too: Keras' layers know of their own alone."""
        keras.Layer.save_own_variables(self, store)

    def load_own_variables(self, store: Any) -> None:
        """Load what ``save_own_variables`` saved."""
        keras.Layer.load_own_variables(self, store)

    def _divided(self, training: bool | None) -> tf.Tensor:
        """Return weight / sigma in the compute type; in training, ``u`` moves on."""
        value = tf.convert_to_tensor(getattr(self, self._weight))
        sigma, u = power_iteration(value, tf.convert_to_tensor(self.u))
        if training:
            self.u.assign(u)
        return tf.cast(value / tf.maximum(sigma, _SMALLEST_SIGMA), self.compute_dtype)

    def _finished(self, outputs: tf.Tensor) -> tf.Tensor:
        """Return outputs with the bias, if there is one, and the activation."""
        if self.use_bias:
            outputs += tf.cast(self.bias, self.compute_dtype)
        return self.activation(outputs)


def _unit_vector(shape: tuple[int, ...], dtype: str | None = None) -> tf.Tensor:
    """Return a vector in a random direction, which ``keras.utils.set_random_seed`` decides."""
    return tf.math.l2_normalize(keras.initializers.RandomNormal()(shape, dtype))


@keras.saving.register_keras_serializable("hpcgan")
class SpectralConv2D(_Spectral, layers.Conv2D):
    """A convolution with spectral normalisation."""

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Return (batch, H, W, filters)."""
        return self._finished(self.convolution_op(inputs, self._divided(training)))


@keras.saving.register_keras_serializable("hpcgan")
class SpectralDense(_Spectral, layers.Dense):
    """A dense layer with spectral normalisation."""

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Return (..., units)."""
        return self._finished(keras.ops.matmul(inputs, self._divided(training)))


@keras.saving.register_keras_serializable("hpcgan")
class SpectralEmbedding(_Spectral, layers.Embedding):
    """An embedding with spectral normalisation."""

    _weight = "embeddings"

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Return (*inputs.shape, output_dim)."""
        return tf.gather(self._divided(training), inputs)
