"""The compiled loop over the steps of a call, which all ways of training have in common."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from hpcgan.config import Config
from hpcgan.gan import conditions
from hpcgan.gan.state import State
from hpcgan.gan.step import Given
from hpcgan.parallel import Report

# Of the table of a call: the losses of D and G, the notes stop and skipped, and the squares of
# D's gradients and of G's (``TrainingStep.simultaneous``).
COLUMNS = 8


def over_steps(
    train_step: Callable[[Given, tf.Tensor], tf.Tensor],
    samples: tf.Tensor,
    labels: tf.Tensor | None,
    first_step: tf.Tensor,
    staleness: int,
    at_once: int = 10,
) -> tf.Tensor:
    """Return the rows, (steps, COLUMNS), of a training step for each step of ``samples``.

    ``train_step`` gets what the shards are given, and the number of steps before. Up to ``at_once``
    steps are under way, as far as one does not need what another makes. The other arguments are
    those of ``Strategy.run``.
    """
    steps = tf.shape(samples)[0]
    # The labels begin that many steps before the samples.
    before = tf.cast(tf.minimum(first_step, staleness), tf.int32)

    def step(i: tf.Tensor, rows: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        own = older = None
        if labels is not None:
            own, older = labels[i + before], labels[tf.maximum(i + before - staleness, 0)]
        row = train_step(Given(samples[i], own, older), first_step + tf.cast(i, tf.int64))
        return i + 1, rows.write(i, row)

    rows = tf.TensorArray(tf.float32, size=steps, element_shape=(COLUMNS,))
    _, rows = tf.while_loop(lambda i, _: i < steps, step, (0, rows), parallel_iterations=at_once)
    return rows.stack()


def report(table: tf.Tensor) -> Report:
    """Return the rows of a call as a report."""
    return Report(table[:, :2], table[:, 2], table[:, 3], tf.reshape(table[:, 4:], (-1, 2, 2)))


def signature(config: Config, state: State, dtype: str, read: int, hosted: int) -> list:
    """Return what ``Strategy.run`` takes on a rank: with labels only where the networks do.

    Args:
        config: of the run.
        state: its networks.
        dtype: of the samples, "uint8" or "float32".
        read: shards whose samples the rank reads.
        hosted: its shards.
    """
    per_step = config.train.batch_size * config.train.discriminator_steps
    sample_shape = tuple(state.discriminators[0].inputs[0].shape[1:])
    found = [
        tf.TensorSpec((None, read, per_step, *sample_shape), dtype),
        tf.TensorSpec((), tf.int64),
    ]
    if config.model.condition != "none":
        kind = tf.float32 if config.model.condition == "regression" else tf.int32
        shape = (None, hosted, per_step, *conditions.label_shape(config.model))
        found.append(tf.TensorSpec(shape, kind))
    return found
