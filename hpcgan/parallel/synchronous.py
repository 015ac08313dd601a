"""Synchronous data parallelism: every rank trains the same networks on its own shards.

    rank 0: shards 0, 1   gradients --+                    +--> update, the same networks
    rank 1: shards 2, 3   gradients --+--> mean over all --+--> update, the same networks
    rank 2: shards 4, 5   gradients --+    six shards      +--> update, the same networks

Gradients, moving statistics and losses of an update travel in one ring all-reduce, in which every
rank waits for the slowest one.
"""

from __future__ import annotations

import tensorflow as tf

from hpcgan.all_reduce import AllReduce
from hpcgan.config import Config
from hpcgan.gan import conditions
from hpcgan.gan.models.together import mixing_layer
from hpcgan.gan.state import State
from hpcgan.gan.step import TrainingStep
from hpcgan.parallel import Report
from hpcgan.parallel.timer import CollectiveTimer
from hpcgan.ring import Ring
from hpcgan.world import World


def over_ring(
    world: World,
    config: Config,
    state: State,
    dtype: str,
    hosted: range,
    timer: CollectiveTimer | None = None,
) -> Synchronous:
    """Return the strategy of ranks that exchange over Horovod's ring, which it starts.

    All ranks must call it. ``timer`` notes when all-reduces begin and end; the other arguments are
    those of ``Synchronous``.
    """
    half = {"none": None, "fp16": "float16", "bf16": "bfloat16"}[config.parallel.compression]
    ring = Ring(world)
    all_reduce = ring.all_reduce()
    reduce_gradients = ring.half_all_reduce(half) if half else None
    if timer:
        all_reduce = timer.timed(all_reduce)
        reduce_gradients = timer.timed(reduce_gradients) if reduce_gradients else None
    return Synchronous(config, state, dtype, hosted, all_reduce, reduce_gradients)


class Synchronous:
    """A ``Strategy`` for one rank and the shards that it hosts."""

    def __init__(
        self,
        config: Config,
        state: State,
        dtype: str,
        hosted: range,
        all_reduce: AllReduce,
        reduce_gradients: AllReduce | None = None,
    ) -> None:
        """Compile the training step, for any number of steps per call.

        Args:
            config: with ``data.shards`` resolved to a number.
            state: the networks and optimizers, which ``run`` changes.
            dtype: of the samples, "uint8" or "float32".
            hosted: the shards of this rank.
            all_reduce: the sum over all ranks.
            reduce_gradients: the same for gradients alone, where they are sent in another way.
        """
        step = TrainingStep(config, state, hosted, all_reduce, reduce_gradients)
        update = {"simultaneous": step.simultaneous, "alternating": step.alternating}
        self._step = step
        self._train_step = update[config.train.update]
        self.take_rollbacks = step.take_rollbacks
        self.together = step.together
        self.description = _describe(state, len(hosted), step.together)
        # AutoGraph would read and rewrite all of this, for seconds, and find nothing to do.
        signature = _signature(config, state, dtype, len(hosted))
        self.run = tf.function(self._run, input_signature=signature, autograph=False)

    def request_stop(self) -> None:
        """Have all ranks learn in their next step that this rank wants to stop."""
        self._step.stop.assign(1.0)

    def _run(
        self, samples: tf.Tensor, first_step: tf.Tensor, labels: tf.Tensor | None = None
    ) -> Report:
        """Make a training step for each step of ``samples``, as ``Strategy.run``.

        All ranks must call it for the same steps, in any division into calls: each step has as
        many all-reduces on every rank.
        """
        steps = tf.shape(samples)[0]

        def train_step(i: tf.Tensor, rows: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            own_labels = None if labels is None else labels[i]
            row = self._train_step(samples[i], own_labels, first_step + tf.cast(i, tf.int64))
            return i + 1, rows.write(i, row)

        rows = tf.TensorArray(tf.float32, size=steps, element_shape=(4,))
        _, rows = tf.while_loop(lambda i, _: i < steps, train_step, (0, rows))
        table = rows.stack()
        return Report(table[:, :2], table[:, 2], table[:, 3])


def _signature(config: Config, state: State, dtype: str, hosted: int) -> list[tf.TensorSpec]:
    """Return what a call takes: with labels only where the networks do."""
    per_step = config.train.batch_size * config.train.discriminator_steps
    sample_shape = tuple(state.discriminator.inputs[0].shape[1:])
    signature = [
        tf.TensorSpec((None, hosted, per_step, *sample_shape), dtype),
        tf.TensorSpec((), tf.int64),
    ]
    if config.model.condition != "none":
        kind = tf.float32 if config.model.condition == "regression" else tf.int32
        shape = (None, hosted, per_step, *conditions.label_shape(config.model))
        signature.append(tf.TensorSpec(shape, kind))
    return signature


def _describe(state: State, hosted: int, together: int) -> str:
    """Return in words how the shards of this rank go through the networks."""
    if hosted == 1:
        return "1 shard per rank"
    networks = (state.generator, state.discriminator)
    mixing = [layer for layer in map(mixing_layer, networks) if layer]
    why = f", since layer {mixing[0]} may mix their samples" if mixing else ""
    return f"{hosted} shards per rank, {together} at a time{why}"
