"""A user's own networks: functions that build them, imported, called and checked.

A function takes the ModelConfig and the sample's shape and returns a keras.Model that maps what
the family's network would map (``hpcgan.gan.models`` has the shapes). All that an update asks of a
network is checked here, before it starts: that every weight can learn, which layers go together.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from hpcgan.config import ModelConfig
from hpcgan.errors import ConfigError
from hpcgan.gan import conditions
from hpcgan.gan.models import parts
from hpcgan.gan.models.normalisation import synchronised
from hpcgan.gan.models.together import mixing_layer

_BATCH = 2

Shape = tuple[int, ...]


def generator(config: ModelConfig, sample_shape: Shape) -> keras.Model:
    """Return the network that ``config.generator`` builds.

    Raises:
        ConfigError: it cannot be imported or built, maps to other shapes, or could not learn.
    """
    assert config.generator is not None
    own = _Own("generator", config.generator)
    inputs = parts.generator_inputs(config)
    network = own.build(config, sample_shape, inputs, [sample_shape])
    mixing = mixing_layer(network)
    if synchronised(network) and mixing:
        raise ConfigError(
            f"{own.key} has synchronised normalisation, for which the shards of a rank go through "
            f"it together, and a layer {mixing} that may mix their samples or random numbers; "
            "docs/models.md lists the layers that do not"
        )
    return network


def discriminator(config: ModelConfig, sample_shape: Shape) -> keras.Model:
    """Return the network that ``config.discriminator`` builds, as ``generator`` does."""
    assert config.discriminator is not None
    guesses: dict[str, list[Shape]] = {
        "auxiliary": [(config.classes or 0,)],
        "regression": [conditions.label_shape(config) or (1,)],
    }
    own = _Own("discriminator", config.discriminator)
    inputs = parts.discriminator_inputs(config, sample_shape)
    expected = [(1,), *guesses.get(config.condition, [])]
    network = own.build(config, sample_shape, inputs, expected)
    if synchronised(network):
        raise ConfigError(
            f"{own.key} has synchronised normalisation, which is for the generator alone: real and "
            "generated samples go through D one after the other"
        )
    return network


class _Own:
    """One key of the configuration and what it names."""

    def __init__(self, name: str, origin: str) -> None:
        self._name = name
        self.key = f"model.{name} {origin}"
        self._origin = origin

    def build(
        self,
        config: ModelConfig,
        sample_shape: Shape,
        inputs: tuple[parts.Tensor, parts.Tensor | None],
        expected: list[Shape],
    ) -> keras.Model:
        """Return the checked network, under the name and with the inputs that ours have."""
        # Variables are called by their path below the network's name, as ours are.
        with _importable_here(), keras.name_scope(self._name):
            model = self._attempt("fails", self._function(), config, sample_shape)
            if not isinstance(model, keras.Model):
                raise ConfigError(f"{self.key} returns {type(model).__name__}, not a keras.Model")
            first, labels = inputs
            given = first if labels is None else [first, labels]
            outputs = self._attempt("does not take its inputs", model, given)
        network = self._attempt("is no network", parts.network, self._name, inputs, outputs)
        self._check_variables(network)
        self._check_outputs(network, expected)
        return network

    def _function(self) -> Callable[..., Any]:
        module_name, _, function_name = self._origin.partition(":")
        module = self._attempt("cannot be imported", importlib.import_module, module_name)
        function = getattr(module, function_name, None)
        if not callable(function):
            raise ConfigError(f"{self.key}: {module.__file__} has no function {function_name}")
        return function

    def _attempt(self, problem: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the user's function does; whatever it raises is a ConfigError here."""
        try:
            return function(*arguments)
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            raise ConfigError(
                f"{self.key} {problem}: {type(error).__name__}: {lines[0]}"
            ) from error

    def _check_variables(self, network: keras.Model) -> None:
        """Refuse what a checkpoint could not name, or an update could not average."""
        paths = [weight.path for weight in network.weights]
        twice = sorted({path for path in paths if paths.count(path) > 1})
        if twice:
            raise ConfigError(
                f"{self.key} has two variables {twice[0]}; give its layers different names"
            )
        for each in network.weights:
            if each.dtype != "float32":
                raise ConfigError(
                    f"{self.key} has a variable {each.path} of {each.dtype}, and all are averaged "
                    "over the shards; make it float32"
                )

    def _check_outputs(self, network: keras.Model, expected: list[Shape]) -> None:
        """Refuse what gives other outputs for two samples than it has to, or could not learn."""
        zeros = [tf.zeros((_BATCH, *each.shape[1:]), each.dtype) for each in network.inputs]
        outputs, of_sample, of_weights = self._attempt(
            "does not take its inputs", _tried, network, zeros
        )
        found = [f"{tuple(o.shape)} {o.dtype.name}" for o in outputs]
        wanted = [f"{(_BATCH, *shape)} float32" for shape in expected]
        if found != wanted:
            raise ConfigError(
                f"{self.key} gives {' and '.join(found)} for a batch of {_BATCH}; it has to "
                f"give {' and '.join(wanted)}"
            )
        unused = [
            weight.path
            for weight, gradient in zip(network.trainable_variables, of_weights, strict=True)
            if gradient is None
        ]
        if unused:
            raise ConfigError(
                f"{self.key}: nothing that it gives depends on its weight {unused[0]}, which could "
                "not learn; use it, leave it out, or make it with trainable=False"
            )
        if self._name == "discriminator" and of_sample is None:
            raise ConfigError(
                f"{self.key}: its logit has no gradient by the samples, without which G could not "
                "learn"
            )


def _tried(
    network: keras.Model, inputs: list[tf.Tensor]
) -> tuple[list[tf.Tensor], tf.Tensor | None, list[tf.Tensor | None]]:
    """Call the network in training, as an update does: nothing is assigned.

    Returns:
        The outputs; the gradient of the first by the first input; and that of all by each weight.
        None is where there is none.
    """
    weights = [tf.convert_to_tensor(each) for each in network.trainable_variables]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([inputs[0], weights])
        given = inputs if len(inputs) > 1 else inputs[0]
        outputs, _ = network.stateless_call(
            weights, network.non_trainable_variables, given, training=True
        )
        outputs = tf.nest.flatten(outputs)
    return outputs, tape.gradient(outputs[0], inputs[0]), tape.gradient(outputs, weights)


@contextmanager
def _importable_here() -> Iterator[None]:
    """Let modules of the current directory be imported, as ``python -m`` does."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(here)
