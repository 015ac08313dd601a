"""Labels as the networks take them: numbers of classes, or real values in units of the largest."""

from __future__ import annotations

import dataclasses

import numpy as np

from hpcgan.config import ModelConfig
from hpcgan.errors import DataError


def resolve(model: ModelConfig, lowest: float, highest: float, whole: bool) -> ModelConfig:
    """Return the configuration of networks with a condition, with ``classes`` or ``label_range``.

    The data's labels are from ``lowest`` to ``highest``; ``whole`` says whether they are integers.

    Raises:
        DataError: the labels are of the wrong kind or out of bounds.
    """
    if model.condition == "regression":
        low, high = model.label_range or (lowest, highest)
        if not (0 < low <= lowest and highest <= high):  # so that NaN does not pass
            raise DataError(
                f"the labels are from {lowest:g} to {highest:g}, and model.label_range is from "
                f"{low:g} to {high:g}; for model.condition: regression they must be greater than "
                "0, and within it"
            )
        return dataclasses.replace(model, label_range=[low, high])
    if not whole:
        raise DataError(
            f"the labels are no integers; model.condition: {model.condition} is for classes"
        )
    classes = int(highest) + 1 if model.classes is None else model.classes
    if lowest < 0 or highest >= classes:
        raise DataError(
            f"the labels are from {lowest:g} to {highest:g}; with model.classes {classes} they "
            f"must be from 0 to {classes - 1}"
        )
    return dataclasses.replace(model, classes=classes)


def as_input(model: ModelConfig, labels: np.ndarray) -> np.ndarray:
    """Return labels as the networks take them: int32 classes, or float32 parts of the largest.

    ``labels`` are (n,), as they are in the data; ``model`` is resolved, with a condition.
    """
    if model.condition == "regression":
        assert model.label_range is not None
        return (labels / model.label_range[1]).astype(np.float32)
    return labels.astype(np.int32)


def for_sampling(model: ModelConfig, first: int, values: np.ndarray) -> np.ndarray:
    """Return the labels that samples get where nobody asks for others, as they are in the data.

    Classes come in turn, counted from sample ``first``; real values are uniform in the range of the
    data, as ``values`` (n,) are in [0, 1).
    """
    if model.condition == "regression":
        assert model.label_range is not None
        low, high = model.label_range
        return (low + (high - low) * values).astype(np.float32)
    assert model.classes is not None
    return ((first + np.arange(len(values))) % model.classes).astype(np.int32)
