"""The ways of training, as the tests that all of them must pass make them, and what they train.

Another way is one more entry of ``WAYS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from mpi4py import MPI

from hpcgan.all_reduce import identity
from hpcgan.config import (
    Config,
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    OptimizersConfig,
    ParallelConfig,
    TrainConfig,
)
from hpcgan.gan.adam import Adam
from hpcgan.gan.state import State
from hpcgan.gan.update import Sums
from hpcgan.parallel import Strategy, making
from hpcgan.parallel.local import Local
from hpcgan.parallel.placing import Placing
from hpcgan.parallel.synchronous import Synchronous
from hpcgan.ring import Ring
from hpcgan.training.sharing import Sharing
from hpcgan.world import World

SHARDS = 4
RANKS = MPI.COMM_WORLD.size
ALONE = Placing(SHARDS, 1)
RATES = {"sgd": 0.005, "adam": 2e-4}


class Way(NamedTuple):
    """A way of training.

    Attributes:
        options: that choose it, by section.
        reference: those by which one rank trains the same.
        least: ranks that it needs.
        cases: of ``CASES``, in which it is compared with the reference.
        unmoved: what the variables' groups begin with that stay where the last shard has a sample
            that is not finite.
    """

    options: dict[str, dict[str, Any]]
    reference: dict[str, dict[str, Any]]
    least: int
    cases: tuple[str, ...]
    unmoved: str

    @property
    def words(self) -> list[str]:
        """The options as words of ``hpcgan train``."""
        sections = self.options.items()
        return [f"--{name}.{key}={value}" for name, own in sections for key, value in own.items()]

    def strategy(self, ring: Ring, world: World, config: Config, state: State, dtype: str) -> Any:
        """Return the way of training of this rank."""
        group = world.split(making.group_of(config, world))
        return making.from_ring(ring, world, group, config, state, dtype)


def reference(config: Config, state: State, dtype: str) -> Strategy:
    """Return what trains all shards on one rank, without others."""
    if config.train.discriminators == 1:
        return Synchronous(config, state, dtype, range(SHARDS), identity)
    alone: Any = SimpleNamespace(rank=0, pass_arrays=lambda sends, receives: None)
    sums = Sums(identity)
    return Local(config, state, dtype, Placing(SHARDS, 1), alone, sums, sums, identity)


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


WAYS = {
    "synchronous": Way(
        {"parallel": {"mode": "synchronous"}},
        {},
        least=1,
        cases=tuple(case for case in CASES if case != "dcgan"),  # "conditional" is one, too
        unmoved="",
    ),
    "split": Way(
        {
            "parallel": {"mode": "split", "generator_ranks": max(1, RANKS // 2)},
            "train": {"staleness": 1},
        },
        {"train": {"staleness": 1}},
        least=2,
        cases=("mlp alternating", "accumulated", "conditional"),
        unmoved="discriminator",
    ),
    "split, waiting": Way(
        {
            "parallel": {"mode": "split", "generator_ranks": max(1, RANKS - 1)},
            "train": {"staleness": 0},
        },
        {},
        least=2,
        cases=("mlp alternating", "mlp"),
        unmoved="discriminator",
    ),
    "split, looking back by 3": Way(
        {"parallel": {"mode": "split", "generator_ranks": 1}, "train": {"staleness": 3}},
        {"train": {"staleness": 3}},
        least=2,
        cases=("mlp",),
        unmoved="discriminator",
    ),
    "local discriminators": Way(
        {"train": {"discriminators": 2, "staleness": 1, "swap_every": 4}},
        {"train": {"discriminators": 2, "staleness": 1, "swap_every": 4}},
        least=1,
        cases=("mlp alternating", "conditional"),
        unmoved="discriminator_1",
    ),
}


def configure(
    case: str, optimizer: str = "adam", options: Mapping[str, dict[str, Any]] | None = None
) -> Config:
    """Return the configuration of a case, with small networks, and of a way of training."""
    sections = {name: dict(own) for name, own in CASES[case].items()}
    for name, own_options in (options or {}).items():
        sections[name] = sections.get(name, {}) | own_options
    own = OptimizerConfig(optimizer, RATES[optimizer])  # type: ignore[arg-type]
    return Config(
        data=DataConfig(files=["unused"], shards=SHARDS),
        model=ModelConfig(**{"latent_dim": 6, "width": 4, **sections.get("model", {})}),
        loss=LossConfig(**sections.get("loss", {})),
        optimizer=OptimizersConfig(own, own),
        train=TrainConfig(batch_size=6, **sections.get("train", {})),
        parallel=ParallelConfig(**sections.get("parallel", {})),
    )


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
        self,
        case: str,
        options: Mapping[str, dict[str, Any]],
        make: Callable[[Config, State, str], Strategy],
        place: Placing = ALONE,
        rank: int = 0,
    ) -> None:
        self._config = config = configure(case, options=options)
        self._hosted, self._read = place.hosted(rank), place.read(rank)
        self._side = 16 if config.model.name == "resnet" else 8
        self._is_adam = tf.Variable(False)
        self._state = State(config, (self._side, self._side, 1))
        state, beta_1 = self._state, config.optimizer.generator.beta_1
        either = [
            EitherOptimizer(each.trainable_variables, self._is_adam, beta_1)
            for each in (state.generator, *state.discriminators)
        ]
        state.generator_optimizer, *state.discriminator_optimizers = either
        self._start = state.arrays()
        self._strategy = make(config, state, "uint8")

    def run(
        self, optimizer: str, steps: int = 10, world: World | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return a table and networks, as one vector, after some steps of fixed batches.

        The table has the losses of each step, and the squares of gradients that are measured.

        Another order of summation makes differences of 5e-8 in ten steps of gradient descent. In
        twenty it may have a number cross the kink of a ReLU or a hinge, and 2e-5 come of that (seen
        with the resnet).
        """
        self._is_adam.assign(optimizer == "adam")
        self._state.load(self._start, "the start")
        self._strategy.refresh(self._config)
        train = self._config.train
        per_step = train.batch_size * train.discriminator_steps
        shape = (steps, per_step, self._side, self._side, 1)
        batches = np.zeros((steps, len(self._read), *shape[1:]), np.uint8)
        for place, shard in enumerate(self._read):
            batches[:, place] = np.random.default_rng(shard).integers(0, 256, shape, np.uint8)
        given = [tf.constant(batches), tf.constant(0, tf.int64)]
        if self._config.model.condition != "none":
            of_labels = [np.random.default_rng(SHARDS + shard) for shard in self._hosted]
            labels = [rng.integers(0, 3, (steps, per_step)) for rng in of_labels]
            given.append(tf.constant(np.stack(labels, axis=1).astype(np.int32)))
        report = self._strategy.run(*given)
        squares = report.squares.numpy().reshape(steps, -1)
        self._strategy.between_calls(4)  # a swap, where that is due
        if world:
            Sharing(world, self._state, self._strategy).share()
        arrays = self._state.arrays()
        networks = [arrays[group] for group in arrays if "optimizer" not in group]
        vector = np.concatenate([np.ravel(a) for named in networks for a in named.values()])
        return np.concatenate([report.losses.numpy(), squares], 1), vector


def relative_difference(ours: np.ndarray, reference: np.ndarray) -> float:
    """Return the relative difference of two vectors, in L2."""
    return float(np.linalg.norm(np.float64(ours) - reference) / np.linalg.norm(reference))
