"""What one writes by hand: a tf.function for a step, one all-reduce per gradient, all by default.

    python -m benchmarks.contestants.plain_tensorflow mlp|dcgan SECONDS
    mpirun -n 2 python -m benchmarks.contestants.plain_tensorflow mlp|dcgan SECONDS

The networks are ours, and so are loss, batch and optimizers. On one rank there is no Horovod.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf
from mpi4py import MPI

from hpcgan.config import ModelConfig
from hpcgan.gan.models import build

BATCH = 64
LATENT = 100


def main() -> None:
    """Measure; rank 0 prints steps per second."""
    comm = MPI.COMM_WORLD
    average = _horovod() if comm.Get_size() > 1 else lambda gradients: gradients
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    step = make_step(sys.argv[1], average)
    samples = np.random.default_rng(0).integers(0, 256, (BATCH, 28, 28, 1)).astype(np.uint8)
    for _ in range(5):
        step(samples)
    began = time.perf_counter()
    for _ in range(5):
        step(samples)[0].numpy()
    steps = comm.bcast(max(5, round(5 * float(sys.argv[2]) / (time.perf_counter() - began))))
    comm.Barrier()
    began = time.perf_counter()
    for _ in range(steps):
        step(samples)[0].numpy()
    slowest = comm.allreduce(time.perf_counter() - began, MPI.MAX)
    if comm.Get_rank() == 0:
        print(f"{steps / slowest:.3f}")


def _horovod() -> Callable[[list[Any]], list[Any]]:
    import horovod.tensorflow as hvd

    hvd.init()
    return lambda gradients: [hvd.allreduce(gradient) for gradient in gradients]


def make_step(model: str, average: Callable[[list[Any]], list[Any]]) -> Callable[[Any], Any]:
    """Return a function that makes one simultaneous update from a batch of uint8 samples."""
    config = ModelConfig(model)  # type: ignore[arg-type]
    generator, discriminator = build(config, (28, 28, 1), 0)
    optimizers = [keras.optimizers.Adam(2e-4, beta_1=0.5) for _ in range(2)]
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    @tf.function
    def step(samples: Any) -> Any:
        real = tf.cast(samples, tf.float32) / 127.5 - 1.0
        latents = tf.random.normal((BATCH, LATENT))
        with tf.GradientTape(persistent=True) as tape:
            fake = generator(latents, training=True)
            of_real = discriminator(real, training=True)
            of_fake = discriminator(fake, training=True)
            ones, zeros = tf.ones_like(of_real), tf.zeros_like(of_real)
            d_loss = cross_entropy(ones, of_real) + cross_entropy(zeros, of_fake)
            g_loss = cross_entropy(ones, of_fake)
        pairs = ((discriminator, d_loss, optimizers[0]), (generator, g_loss, optimizers[1]))
        for network, loss, optimizer in pairs:
            weights = network.trainable_variables
            gradients = average(tape.gradient(loss, weights))
            optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return d_loss, g_loss

    return step


if __name__ == "__main__":
    main()
