"""A user's own networks: functions that build them, imported, called and checked.

A function takes the ModelConfig and the sample's shape and returns a keras.Model that maps what
the family's network would map:

- G: latent (batch, latent_dim), or with a condition [latent, labels (batch,)], to samples;
- D: samples, or with condition projection [samples, labels], to logits (batch, 1), with
  auxiliary [logits, logits of the classes (batch, classes)], with regression
  [logits, guesses (batch, 1)].

Labels are int32, with regression float32; outputs are float32.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras

from hpcgan.config import ModelConfig
from hpcgan.errors import ConfigError
from hpcgan.gan.models import parts

_BATCH = 2

Shape = tuple[int, ...]


def generator(config: ModelConfig, sample_shape: Shape) -> keras.Model:
    """Return the network that ``config.generator`` builds.

    Raises:
        ConfigError: it cannot be imported or built, or maps to other shapes.
    """
    assert config.generator is not None
    inputs = parts.generator_inputs
    network = _Own("generator", config.generator)
    return network.build(config, sample_shape, lambda: inputs(config), [sample_shape])


def discriminator(config: ModelConfig, sample_shape: Shape) -> keras.Model:
    """Return the network that ``config.discriminator`` builds.

    Raises:
        ConfigError: it cannot be imported or built, or maps to other shapes.
    """
    assert config.discriminator is not None
    guesses: dict[str, list[Shape]] = {
        "auxiliary": [(config.classes or 0,)],
        "regression": [(1,)],
    }
    network = _Own("discriminator", config.discriminator)
    return network.build(
        config,
        sample_shape,
        lambda: parts.discriminator_inputs(config, sample_shape),
        [(1,), *guesses.get(config.condition, [])],
    )


class _Own:
    """One key of the configuration and what it names."""

    def __init__(self, name: str, origin: str) -> None:
        self._name = name
        self._key = f"model.{name} {origin}"
        self._origin = origin

    def build(
        self,
        config: ModelConfig,
        sample_shape: Shape,
        make_inputs: Callable[[], tuple[parts.Tensor, parts.Tensor | None]],
        expected: list[Shape],
    ) -> keras.Model:
        """Return the checked network, under the name and with the inputs that ours have."""
        # Variables are called by their path below the network's name, as ours are.
        with _importable_here(), keras.name_scope(self._name):
            model = self._attempt("fails", self._function(), config, sample_shape)
            if not isinstance(model, keras.Model):
                raise ConfigError(f"{self._key} returns {_kind(model)}, not a keras.Model")
            first, labels = inputs = make_inputs()
            given = first if labels is None else [first, labels]
            outputs = self._attempt("does not take its inputs", model, given)
        network = self._attempt("is no network", parts.network, self._name, inputs, outputs)
        self._check_outputs(network, expected)
        self._check_names(network)
        return network

    def _function(self) -> Callable[..., Any]:
        module_name, colon, function_name = self._origin.partition(":")
        if not (module_name and colon and function_name):
            raise ConfigError(f"{self._key} must be written package.module:function")
        module = self._attempt("cannot be imported", importlib.import_module, module_name)
        function = getattr(module, function_name, None)
        if not callable(function):
            raise ConfigError(f"{self._key}: {module.__file__} has no function {function_name}")
        return function

    def _attempt(self, problem: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the user's function does; whatever it raises is a ConfigError here."""
        try:
            return function(*arguments)
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            raise ConfigError(f"{self._key} {problem}: {_kind(error)}: {lines[0]}") from error

    def _check_outputs(self, network: keras.Model, expected: list[Shape]) -> None:
        """Compare what the network gives for two samples with what it has to."""
        zeros = [keras.ops.zeros((_BATCH, *i.shape[1:]), i.dtype) for i in network.inputs]
        given = zeros if len(zeros) > 1 else zeros[0]
        outputs = self._attempt("does not take its inputs", network, given)
        outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
        found = [f"{tuple(o.shape)} {keras.backend.standardize_dtype(o.dtype)}" for o in outputs]
        wanted = [f"{(_BATCH, *shape)} float32" for shape in expected]
        if found != wanted:
            raise ConfigError(
                f"{self._key} gives {' and '.join(found)} for a batch of {_BATCH}; it has to "
                f"give {' and '.join(wanted)}"
            )

    def _check_names(self, network: keras.Model) -> None:
        paths = [weight.path for weight in network.weights]
        twice = sorted({path for path in paths if paths.count(path) > 1})
        if twice:
            raise ConfigError(
                f"{self._key} has two variables {twice[0]}; give its layers different names"
            )


def _kind(thing: object) -> str:
    return type(thing).__name__


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
