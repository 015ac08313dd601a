"""All that a checkpoint holds: networks, averages, optimizers, the step and what was rolled back.

The number of images seen, the learning rates and the states of random generators are not here:
they follow from the step and the configuration.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import keras
import numpy as np

from hpcgan.config import Config, OptimizerConfig
from hpcgan.errors import CheckpointError, ConfigError
from hpcgan.gan.adam import Adam
from hpcgan.gan.loss_scale import LossScale
from hpcgan.gan.models import build
from hpcgan.gan.network import layout, statistics_of
from hpcgan.gan.scaling_rule import adams
from hpcgan.gan.versions import Rows
from hpcgan.memory import format_bytes, free_memory

# The groups of a checkpoint, each name -> array.
Groups = dict[str, dict[str, np.ndarray]]


class Snapshot(NamedTuple):
    """All that changes of a state.

    Attributes:
        groups: as ``State.arrays``.
        step: as in ``State``, and so are the others.
    """

    groups: Groups
    step: int
    rollbacks: int
    discarded: int
    values: dict[str, float]
    round: int


class State:
    """The networks and optimizers of a run, and the number of updates they have had.

    Attributes:
        generator: G.
        discriminators: D, or several, each with its own part of the shards.
        average: the moving average of G, if there is one.
        generator_optimizer: of G.
        discriminator_optimizers: of each D.
        generator_versions: older versions of G, where training looks back.
        discriminator_versions: those of each D.
        loss_scale: of the losses in half precision, if there is one.
        step: updates that the networks have had.
        rollbacks: times that the run went back to a checkpoint.
        discarded: updates that were lost by it.
        values: of keys (``varied.VARIABLE``) that have changed since the beginning, in place of the
            configuration's.
        round: tournaments that it has been through, as a member of a population.
    """

    def __init__(self, config: Config, sample_shape: tuple[int, ...]) -> None:
        """Build everything with the initial weights of ``config.seed``; all counts are 0.

        Raises:
            ConfigError: there is no memory for the older versions.
        """
        self.average: keras.Model | None = None
        with _precision(config.train.precision):
            self.generator, first = build(config.model, sample_shape, config.seed)
            self.discriminators = [first]
            for _ in range(1, config.train.discriminators):
                again = build(config.model, sample_shape, config.seed)
                self.discriminators.append(again.discriminator)
            if config.train.ema is not None or config.train.ema_images is not None:
                self.average = build(config.model, sample_shape, config.seed).generator
        self.generator_optimizer = _optimizer(config, config.optimizer.generator)
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizers = [
            _optimizer(config, config.optimizer.discriminator) for _ in self.discriminators
        ]
        for optimizer, model in zip(
            self.discriminator_optimizers, self.discriminators, strict=True
        ):
            optimizer.build(model.trainable_variables)
        self.generator_versions, *self.discriminator_versions = _older_versions(
            [self.generator, *self.discriminators], config.staleness
        )
        self.loss_scale = LossScale() if config.train.precision == "mixed_float16" else None
        self.step = 0
        self.rollbacks = 0
        self.discarded = 0
        self.values: dict[str, float] = {}
        self.round = 0

    @property
    def sampler(self) -> keras.Model:
        """The generator that makes samples for people: the averaged one, if there is one."""
        return self.generator if self.average is None else self.average

    @property
    def discriminator_names(self) -> list[str]:
        """The discriminators' groups in a checkpoint."""
        numbers = range(1, len(self.discriminators))
        return ["discriminator", *(f"discriminator_{number}" for number in numbers)]

    def variables(self) -> dict[str, dict[str, keras.Variable]]:
        """Return every variable, by group and name, in an order that is the same on all ranks."""
        variables = {
            "generator": _named(self.generator.weights),
            "generator_optimizer": _named(self.generator_optimizer.variables),
        }
        for name, model, optimizer in zip(
            self.discriminator_names,
            self.discriminators,
            self.discriminator_optimizers,
            strict=True,
        ):
            variables[name] = _named(model.weights)
            variables[f"{name}_optimizer"] = _named(optimizer.variables)
        if self.generator_versions:
            versions = [self.generator_versions, *self.discriminator_versions]
            names = ["generator", *self.discriminator_names]
            for name, rows in zip(names, versions, strict=True):
                assert rows is not None
                variables[f"{name}_versions"] = {"versions": rows.values}
        if self.average is not None:
            variables["generator_ema"] = _named(self.average.weights)
        if self.loss_scale:
            variables["loss_scale"] = {
                "scale": self.loss_scale.scale,
                "good": self.loss_scale.good,
            }
        return variables

    def arrays(self) -> Groups:
        """Return a copy of every variable's value."""
        return {
            group: {name: np.array(variable) for name, variable in named.items()}
            for group, named in self.variables().items()
        }

    def snapshot(self) -> Snapshot:
        """Return a copy of all that changes."""
        numbers = self.step, self.rollbacks, self.discarded
        return Snapshot(self.arrays(), *numbers, dict(self.values), self.round)

    def take(self, snapshot: Snapshot) -> None:
        """Become what a snapshot of a state of the same networks holds."""
        self.load(snapshot.groups, "another state")
        self.step, self.rollbacks, self.discarded = snapshot[1:4]
        self.values, self.round = dict(snapshot.values), snapshot.round

    def load(self, groups: Groups, origin: str) -> None:
        """Take the values that ``arrays`` gave.

        Raises:
            CheckpointError: a variable is missing, is not known here, or has another shape;
                ``origin`` names the checkpoint in the message. Nothing was taken then.
        """
        variables = self.variables()
        for group, named in variables.items():
            given = groups.get(group, {})
            odd = sorted(set(given) ^ set(named))
            if odd:
                raise CheckpointError(
                    f"{origin}: group '{group}' and the configured model disagree on variable "
                    f"'{odd[0]}'"
                )
            for name, variable in named.items():
                if given[name].shape != tuple(variable.shape):
                    raise CheckpointError(
                        f"{origin}: '{group}/{name}' has shape {given[name].shape}; the "
                        f"configured model needs {tuple(variable.shape)}"
                    )
        for group, named in variables.items():
            for name, variable in named.items():
                variable.assign(groups[group][name])


@contextmanager
def _precision(policy: str) -> Iterator[None]:
    """Have networks that are built inside compute with a precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _older_versions(models: list[keras.Model], count: int) -> list[Rows | None]:
    """Return ``count`` versions of each network, all of them the network as it is."""
    if not count:
        return [None for _ in models]
    need = count * sum(4 * layout(model).length for model in models)
    free = free_memory()
    if need > free:
        raise ConfigError(
            f"train.staleness is {count}: the older versions of the networks take "
            f"{format_bytes(need)} per rank, and {format_bytes(free)} are free; use a smaller one"
        )
    found: list[Rows | None] = []
    for model in models:
        rows = Rows(count, layout(model).length)
        variables = [*model.trainable_variables, *statistics_of(model)]
        rows.fill(layout(model).join([each.value for each in variables]).numpy())
        found.append(rows)
    return found


def _optimizer(config: Config, own: OptimizerConfig) -> keras.optimizers.Optimizer:
    """Return an optimizer with the names that checkpoints use."""
    if own.name == "sgd":
        return keras.optimizers.SGD(own.learning_rate, name="sgd")
    # Without a number of shards nothing is trained.
    rate, beta_1, beta_2, epsilon = adams(own, config.optimizer.scaling, config.data.shards or 1)
    return Adam(rate, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, name="adam")


def _named(variables: list[keras.Variable]) -> dict[str, keras.Variable]:
    """Return the variables by their path below the network or optimizer.

    Left out are learning rates, which the configuration sets.
    """
    named = {each.path.split("/", 1)[1]: each for each in variables}
    return {name: variable for name, variable in named.items() if name != "learning_rate"}
