"""Labels as the networks take them: numbers of classes, or one or K real values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from hpcgan.config import ModelConfig
from hpcgan.data.sample_info import SampleInfo
from hpcgan.errors import ConfigError, DataError

# How classes are chosen for samples: each in turn, or as often as in the data.
Draw = Literal["turn", "data"]
Ranges = Sequence[tuple[float, float]]

_LISTED = 20  # classes, in a message


def resolve(model: ModelConfig, ranges: Ranges, whole: bool) -> ModelConfig:
    """Return the configuration of networks with a condition, with ``classes`` or ``label_range``.

    ``ranges`` are the smallest and the largest of the data's labels, or of each of their K values;
    ``whole`` says whether they are integers.

    Raises:
        DataError: the labels are of the wrong kind or out of bounds.
    """
    if model.condition == "regression":
        return dataclasses.replace(model, label_range=_resolved_range(model, ranges))
    if not whole:
        raise DataError(
            f"the labels are no integers; model.condition: {model.condition} is for classes"
        )
    ((lowest, highest),) = ranges
    classes = int(highest) + 1 if model.classes is None else model.classes
    if lowest < 0 or highest >= classes:
        raise DataError(
            f"the labels are from {lowest:g} to {highest:g}; with model.classes {classes} they "
            f"must be from 0 to {classes - 1}"
        )
    return dataclasses.replace(model, classes=classes)


def _resolved_range(model: ModelConfig, ranges: Ranges) -> list[float]:
    """Return ``label_range``, into which the data's labels fit."""
    given = label_ranges(model) or ranges
    if len(given) != len(ranges):
        raise DataError(
            f"the labels have {len(ranges)} values, and model.label_range has two numbers for "
            f"{len(given)}"
        )
    for number, ((low, high), (lowest, highest)) in enumerate(zip(given, ranges, strict=True)):
        fits = low <= lowest and highest <= high and math.isfinite(low) and math.isfinite(high)
        if number == 0 and not (fits and low > 0):
            value = "labels are" if len(ranges) == 1 else "first values of the labels are"
            raise DataError(
                f"the {value} from {lowest:g} to {highest:g}, and model.label_range is from "
                f"{low:g} to {high:g}; for model.condition: regression they must be greater than "
                "0, and within it"
            )
        if not fits:
            raise DataError(
                f"value {number + 1} of the labels is from {lowest:g} to {highest:g}, and "
                f"model.label_range has {low:g} to {high:g} for it; it must be within"
            )
    return [bound for pair in given for bound in pair]


def label_ranges(model: ModelConfig) -> list[tuple[float, float]]:
    """Return the smallest and the largest of each real value of a label; nothing if not known."""
    bounds = model.label_range or []
    return list(zip(bounds[::2], bounds[1::2], strict=True))


def label_shape(model: ModelConfig) -> tuple[int, ...]:
    """Return the shape of a sample's label: () of a class or one value, (K,) of K values."""
    number = len(label_ranges(model))
    return (number,) if model.condition == "regression" and number > 1 else ()


def as_input(model: ModelConfig, labels: np.ndarray) -> np.ndarray:
    """Return labels as the networks take them: int32 classes, or float32 values.

    The first real value, such as an energy, is a part of the largest; further ones lie between 0
    and 1 in their range. ``labels`` are (n,) or (n, K), as they are in the data; ``model`` is
    resolved, with a condition.
    """
    if model.condition != "regression":
        return labels.astype(np.int32)
    ranges = label_ranges(model)
    if labels.ndim == 1:
        return (labels / ranges[0][1]).astype(np.float32)
    columns = [labels[:, 0] / ranges[0][1]]
    columns += [
        (column - low) / (high - low or 1.0)
        for column, (low, high) in zip(labels.T[1:], ranges[1:], strict=True)
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def for_sampling(
    model: ModelConfig,
    first: int,
    values: np.ndarray,
    counts: Sequence[int] = (),
    draw: Draw = "turn",
) -> np.ndarray:
    """Return the labels that samples get where nobody asks for others, as they are in the data.

    Args:
        model: resolved, with a condition.
        first: the number of the first sample; classes come in turn, counted from it.
        values: in [0, 1), (n,) or (n, K): real values are uniform in the range of the data by them,
            and classes as often as in the data with ``draw`` "data".
        counts: samples of each class in the data, of which those without are left out; empty if
            that is not known.
        draw: how classes are chosen.
    """
    if model.condition == "regression":
        columns = values.reshape(len(values), -1).T
        drawn = [
            low + (high - low) * column
            for column, (low, high) in zip(columns, label_ranges(model), strict=True)
        ]
        return np.stack(drawn, axis=1).reshape(values.shape).astype(np.float32)
    assert model.classes is not None
    classes = np.flatnonzero(counts) if counts else np.arange(model.classes)
    if draw == "data":
        ends = np.cumsum(np.array(counts)[classes])
        return classes[np.searchsorted(ends / ends[-1], values, side="right")].astype(np.int32)
    return classes[(first + np.arange(len(values))) % len(classes)].astype(np.int32)


def asked_for(model: ModelConfig, samples: SampleInfo, text: str, origin: str) -> np.ndarray:
    """Return the label that a text asks for: a class by name or number, or real values "a,b".

    A name counts before a number. ``origin`` names the checkpoint.

    Raises:
        ConfigError: its networks have no such label.
    """
    if model.condition == "none":
        raise ConfigError(f"--label {text}: {origin} is of networks without labels")
    if model.condition == "regression":
        return _asked_values(label_ranges(model), text, origin)
    assert model.classes is not None
    known = range(model.classes)
    number = samples.names.index(text) if text in samples.names else _number(text)
    if number not in known:
        names = f": {', '.join(map(samples.name_of, known))}" if samples.names else ""
        raise ConfigError(
            f"--label {text}: the labels of {origin} are 0 to {known[-1]}"
            f"{names if len(known) <= _LISTED else ''}"
        )
    label = int(number)
    if samples.counts and not samples.counts[label]:
        raise ConfigError(
            f"--label {text}: the class {samples.name_of(label)} had no sample in the data of "
            f"{origin}"
        )
    return np.array(label, np.int32)


def _asked_values(ranges: list[tuple[float, float]], text: str, origin: str) -> np.ndarray:
    """Return the real values of a text, each of which is in its range."""
    values = [_number(each) for each in text.split(",")]
    fits = len(values) == len(ranges) and all(
        low <= value <= high for value, (low, high) in zip(values, ranges, strict=True)
    )
    if not fits:
        spans = ", ".join(f"{low:g} to {high:g}" for low, high in ranges)
        several = f", {len(ranges)} values with commas between" if len(ranges) > 1 else ""
        raise ConfigError(f"--label {text}: the labels of {origin} are {spans}{several}")
    return np.array(values, np.float32) if len(values) > 1 else np.array(values[0], np.float32)


def _number(text: str) -> float:
    """Return the number that a text is; NaN, which fits nothing, for none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
