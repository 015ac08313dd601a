"""The model that is exported: the averaged generator in float32, between the data's units."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from hpcgan.blocks import BLOCK
from hpcgan.checkpoint import Checkpoint
from hpcgan.export.layers import DataUnits, NetworkLabels
from hpcgan.gan import conditions
from hpcgan.gan.sampling import sampling_inputs
from hpcgan.gan.state import State

Inputs = dict[str, np.ndarray]
# A ``tf.function`` from a latent, or a latent and a label, to a dictionary of the samples.
Serve: TypeAlias = Any


def build(found: Checkpoint) -> keras.Model:
    """Return the model of a checkpoint, whose networks' functions may be run.

    It maps ``{"latent": (batch, latent_dim) float32}``, and with a condition ``"label": (batch,)
    int32`` classes, or ``(batch,)`` or ``(batch, K) float32`` values, as they are in the data, to
    ``{"samples": (batch, *sample_shape) float32}``.

    Raises:
        CheckpointError: the checkpoint's variables are not those of its networks.
        ConfigError: the functions that it names build no networks that fit.
    """
    # Weights are float32 under any policy: only what the layers compute in is another now.
    precise = replace(found.config, train=replace(found.config.train, precision="float32"))
    state = State(precise, found.sample_shape)
    state.load(found.groups, str(found.path))
    model = precise.model
    latent = keras.Input((model.latent_dim,), dtype="float32", name="latent")
    inputs, given = {"latent": latent}, latent
    if model.condition != "none":
        label, of_network = _label(found)
        inputs["label"] = label
        given = [latent, of_network]
    samples = state.sampler(given, training=False)
    units = DataUnits(found.dtype, found.samples.values, dtype="float32", name="samples")
    return keras.Model(inputs, {"samples": units(samples)}, name="hpcgan")


def _label(found: Checkpoint) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return the input of labels, and what G gets of it."""
    model = found.config.model
    if model.condition != "regression":
        label = keras.Input((), dtype="int32", name="label")
        return label, label
    label = keras.Input(conditions.label_shape(model), dtype="float32", name="label")
    ranges = conditions.label_ranges(model)
    return label, NetworkLabels(ranges, dtype="float32", name="network_label")(label)


def serving(model: keras.Model) -> Serve:
    """Return the compiled function that a SavedModel and ONNX hold, for any size of batch."""
    specs = [tf.TensorSpec(each.shape, each.dtype, name=name) for name, each in model.input.items()]

    def of_latent(latent: tf.Tensor) -> dict[str, tf.Tensor]:
        return model({"latent": latent}, training=False)

    def of_both(latent: tf.Tensor, label: tf.Tensor) -> dict[str, tf.Tensor]:
        return model({"latent": latent, "label": label}, training=False)

    return tf.function(of_latent if len(specs) == 1 else of_both, input_signature=specs)


def first_inputs(found: Checkpoint, count: int) -> Inputs:
    """Return what the model is given for the samples that ``hpcgan generate`` makes first."""
    model, counts = found.config.model, found.samples.counts
    blocks = range(-(-count // BLOCK))
    made = [sampling_inputs(model, 0, block, counts) for block in blocks]
    latents = [np.array(given if label is None else given[0]) for given, label in made]
    inputs = {"latent": np.concatenate(latents)[:count]}
    labels = [label for _, label in made if label is not None]
    if labels:
        inputs["label"] = np.concatenate(labels)[:count]
    return inputs
