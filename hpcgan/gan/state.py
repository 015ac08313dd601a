"""All that a checkpoint holds: networks, optimizers and the step.

The number of images seen, the learning rates and the states of random generators are not here:
they follow from the step and the configuration.
"""

from __future__ import annotations

import keras
import numpy as np

from hpcgan.config import AdamConfig, Config
from hpcgan.errors import CheckpointError
from hpcgan.gan.models import build

# The four groups of a checkpoint, each name -> array.
Groups = dict[str, dict[str, np.ndarray]]


class State:
    """The networks and optimizers of a run, and the number of updates they have had."""

    def __init__(self, config: Config, sample_shape: tuple[int, ...]) -> None:
        """Build everything with the initial weights of ``config.seed``; ``step`` is 0."""
        networks = build(config.model, sample_shape, config.seed)
        self.generator, self.discriminator = networks
        self.generator_optimizer = _adam(config.optimizer.generator)
        self.discriminator_optimizer = _adam(config.optimizer.discriminator)
        self.generator_optimizer.build(self.generator.trainable_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.step = 0

    def variables(self) -> dict[str, dict[str, keras.Variable]]:
        """Return every variable, by group and name, in an order that is the same on all ranks."""
        return {
            "generator": _named(self.generator.weights),
            "discriminator": _named(self.discriminator.weights),
            "generator_optimizer": _named(self.generator_optimizer.variables),
            "discriminator_optimizer": _named(self.discriminator_optimizer.variables),
        }

    def arrays(self) -> Groups:
        """Return a copy of every variable's value."""
        return {
            group: {name: np.array(variable) for name, variable in named.items()}
            for group, named in self.variables().items()
        }

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


def _adam(config: AdamConfig) -> keras.optimizers.Optimizer:
    """Return Adam (Kingma and Ba, 2015) with the names that checkpoints use."""
    return keras.optimizers.Adam(
        config.learning_rate, beta_1=config.beta_1, beta_2=config.beta_2, name="adam"
    )


def _named(variables: list[keras.Variable]) -> dict[str, keras.Variable]:
    """Return the variables by their path below the network or optimizer.

    Left out are learning rates, which the configuration sets.
    """
    named = {each.path.split("/", 1)[1]: each for each in variables}
    return {name: variable for name, variable in named.items() if name != "learning_rate"}
