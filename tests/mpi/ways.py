"""The ways of training, as the tests that all of them must pass make them, and what they train.

Another way is one more entry of ``WAYS``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from hpcgan.all_reduce import identity
from hpcgan.config import (
    Config,
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    OptimizersConfig,
    TrainConfig,
)
from hpcgan.data.shards import hosted_shards
from hpcgan.gan.adam import Adam
from hpcgan.gan.state import State
from hpcgan.parallel import Strategy
from hpcgan.parallel.synchronous import Synchronous
from hpcgan.ring import Ring
from hpcgan.world import World

SHARDS = 4
RATES = {"sgd": 0.005, "adam": 2e-4}


class Way(NamedTuple):
    """A way of training.

    Attributes:
        strategy: makes it of the ring, the configuration, the state, the samples' dtype and the
            shards that this rank hosts.
        reference: makes what trains the same on one rank that hosts all shards, without others; of
            the same, but for the ring.
        options: that choose it, words of ``hpcgan train``.
    """

    strategy: Callable[[Ring, Config, State, str, range], Strategy]
    reference: Callable[[Config, State, str, range], Strategy]
    options: tuple[str, ...] = ()


WAYS = {
    "synchronous": Way(
        lambda ring, *given: Synchronous(*given, ring.all_reduce()),
        lambda *given: Synchronous(*given, identity),
        ("--parallel.mode=synchronous",),
    )
}

# Each case: the sections of a configuration; those that take longest to compile first.
CASES: dict[str, dict[str, dict[str, Any]]] = {
    "resnet hinge": {
        "model": {"name": "resnet", "attention": True},
        "loss": {"name": "hinge"},
    },
    "wgan-gp": {
        "model": {"name": "dcgan"},
        "loss": {"name": "wasserstein"},
        "train": {"update": "alternating"},
    },
    "mlp alternating": {
        "loss": {"name": "minimax"},
        "train": {"update": "alternating", "discriminator_steps": 2},
    },
    "accumulated": {
        "model": {"name": "dcgan"},
        "train": {"accumulate": 2, "ema": 0.9, "augment": ["color", "translation", "cutout"]},
    },
    "synchronised": {"model": {"name": "dcgan", "normalisation": "synchronised"}},
    "conditional": {"model": {"name": "dcgan", "condition": "projection", "classes": 3}},
    "dcgan": {"model": {"name": "dcgan"}},
    "mlp": {},
}


def configure(case: str, optimizer: str = "adam") -> Config:
    """Return the configuration of a case, with small networks."""
    sections = CASES[case]
    own = OptimizerConfig(optimizer, RATES[optimizer])  # type: ignore[arg-type]
    return Config(
        data=DataConfig(files=["unused"], shards=SHARDS),
        model=ModelConfig(**{"latent_dim": 6, "width": 4, **sections.get("model", {})}),
        loss=LossConfig(**sections.get("loss", {})),
        optimizer=OptimizersConfig(own, own),
        train=TrainConfig(batch_size=6, **sections.get("train", {})),
    )


def own_shards(world: World) -> range:
    """Return the shards that this rank hosts."""
    return hosted_shards(SHARDS, world.size, world.rank)


class EitherOptimizer:
    """Gradient descent, or Adam where ``is_adam``: so one compiled step is tested with both."""

    def __init__(self, weights: list[Any], is_adam: tf.Variable, beta_1: float) -> None:
        import keras

        self._is_adam = is_adam
        self._sgd = keras.optimizers.SGD(RATES["sgd"], name="sgd")
        self._adam = Adam(RATES["adam"], beta_1=beta_1, name="adam")
        for each in (self._sgd, self._adam):
            each.build(weights)
        self.learning_rate = self

    @property
    def variables(self) -> list[Any]:
        """What both keep."""
        return [*self._sgd.variables, *self._adam.variables]

    def assign(self, rate: tf.Tensor) -> None:
        """Take a learning rate of Adam; that of gradient descent is in proportion to it."""
        self._adam.learning_rate.assign(rate)
        self._sgd.learning_rate.assign(rate * (RATES["sgd"] / RATES["adam"]))

    def apply(self, gradients: list[tf.Tensor], weights: list[Any]) -> None:
        """Move the weights."""

        def by(optimizer: Any) -> Callable[[], None]:
            return lambda: optimizer.apply(gradients, weights) and None

        tf.cond(self._is_adam, by(self._adam), by(self._sgd))


class Trained:
    """A case's networks and the strategy that trains them: compiled once, for both optimizers."""

    def __init__(
        self, case: str, make: Callable[[Config, State, str, range], Strategy], hosted: range
    ) -> None:
        self._config = config = configure(case)
        self._side = 16 if config.model.name == "resnet" else 8
        self._hosted = hosted
        self._is_adam = tf.Variable(False)
        self._state = State(config, (self._side, self._side, 1))
        for name in ("generator", "discriminator"):
            weights = getattr(self._state, name).trainable_variables
            beta_1 = getattr(config.optimizer, name).beta_1
            optimizer = EitherOptimizer(weights, self._is_adam, beta_1)
            setattr(self._state, f"{name}_optimizer", optimizer)
        self._start = self._state.arrays()
        self._strategy = make(config, self._state, "uint8", hosted)

    def run(self, optimizer: str, steps: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """Return losses and networks, as one vector, after some steps of fixed batches.

        Another order of summation makes differences of 5e-8 in ten steps of gradient descent. In
        twenty it may have a number cross the kink of a ReLU or a hinge, and 2e-5 come of that (seen
        with the resnet).
        """
        self._is_adam.assign(optimizer == "adam")
        self._state.load(self._start, "the start")
        train = self._config.train
        per_step = train.batch_size * train.discriminator_steps
        generators = [np.random.default_rng(shard) for shard in self._hosted]
        shape = (steps, per_step, self._side, self._side, 1)
        batches = np.stack([rng.integers(0, 256, shape, np.uint8) for rng in generators], axis=1)
        given = [tf.constant(batches), tf.constant(0, tf.int64)]
        if self._config.model.condition != "none":
            labels = [rng.integers(0, 3, (steps, per_step)) for rng in generators]
            given.append(tf.constant(np.stack(labels, axis=1).astype(np.int32)))
        losses = self._strategy.run(*given).losses.numpy()
        arrays = self._state.arrays()
        networks = [arrays[group] for group in arrays if "optimizer" not in group]
        return losses, np.concatenate([np.ravel(a) for named in networks for a in named.values()])


def relative_difference(ours: np.ndarray, reference: np.ndarray) -> float:
    """Return the relative difference of two vectors, in L2."""
    return float(np.linalg.norm(np.float64(ours) - reference) / np.linalg.norm(reference))
