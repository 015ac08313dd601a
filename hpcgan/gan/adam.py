"""Adam whose step is one kernel for each variable, instead of a dozen.

For small networks those dozen take as long as their matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf


class Adam(keras.optimizers.Adam):
    """Keras' Adam (Kingma and Ba, 2015, algorithm 1 as reordered before section 2.1).

    The variables and what becomes of them are Keras' own; the sums are done in another order, so
    that the last bit may differ.
    """

    def apply(
        self,
        grads: Sequence[tf.Tensor],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        """Move all variables, float32, that it was built for by one step, with their ``grads``."""
        variables = self._trainable_variables
        given = variables if trainable_variables is None else trainable_variables
        if [id(each) for each in given] != [id(each) for each in variables]:
            raise ValueError("this optimizer moves all variables that it was built for, in order")
        # Once for all variables: reads of a variable are not merged by TensorFlow.
        made = self.iterations.value + 1
        step = tf.cast(made, tf.float32)
        powers = {
            "beta1_power": tf.pow(self.beta_1, step),
            "beta2_power": tf.pow(self.beta_2, step),
        }
        rate = tf.convert_to_tensor(self.learning_rate)
        moments = (self._momentums, self._velocities)
        for variable, m, v, gradient in zip(variables, *moments, grads, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.value.handle,
                m=m.value.handle,
                v=v.value.handle,
                lr=rate,
                beta1=self.beta_1,
                beta2=self.beta_2,
                epsilon=self.epsilon,
                grad=gradient,
                **powers,
            )
        self.iterations.assign(made)

    def weighed_square(self, grads: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the square of gradients, of which each component counts as a step weighs it.

        That is by 1 / (sqrt(v) + epsilon), with v corrected for its beginning at 0, so that what is
        weighed compares between steps.
        """
        made = tf.maximum(tf.cast(self.iterations.value, tf.float32), 1.0)
        correction = 1 - tf.pow(self.beta_2, made)
        # Of c = correction: 1 / (sqrt(v / c) + e) = sqrt(c) / (sqrt(v) + e sqrt(c)), where sqrt(c)
        # leaves the sum. All that is done once per component is to be seen in a step's time.
        epsilon = self.epsilon * tf.sqrt(correction)
        pairs = zip(self._velocities, grads, strict=True)
        halves = [tf.nn.l2_loss(own / (tf.sqrt(v.value) + epsilon)) for v, own in pairs]
        return 2 * correction * tf.add_n(halves)
