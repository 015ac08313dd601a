"""What ``--features`` names: the extractors there are, what may be wrong with one, and making it.

pca               principal components of the real data; needs nothing
imagenet          EfficientNet-Lite0, trained on ImageNet (the extra ``features``)
classifier:FILE   a classifier of the data's own classes, from ``hpcgan features fit``
FILE.keras        a network of one's own, saved by Keras
"""

from __future__ import annotations

import difflib
from pathlib import Path

from hpcgan.errors import ConfigError
from hpcgan.evaluation.features import Extractor, classifier_file, imagenet, keras_file, pca
from hpcgan.evaluation.samples import Samples
from hpcgan.files import expanded
from hpcgan.group import Group

_CLASSIFIER, _KERAS = "classifier:", ".keras"
_FORMS = ("pca", "imagenet", "classifier:FILE", "FILE.keras")


def check(features: str, sample_shape: tuple[int, ...], dtype: str) -> None:
    """Refuse what is wrong with ``--features``, before anything is generated.

    Needs no other rank and no TensorFlow. What only a loaded network shows (that a Keras file gives
    (batch, d)) is refused by ``make``.

    Args:
        features: the option.
        sample_shape: (H, W, C) or (D, H, W, C), of the data.
        dtype: "uint8" or "float32", of the data.

    Raises:
        ConfigError: there are no such features, or they are not for such samples.
    """
    if features == "pca":
        return
    if features == "imagenet":
        imagenet.check(sample_shape)
        return
    if features.startswith(_CLASSIFIER):
        _check_classifier(_file(features), sample_shape, dtype)
        return
    if features.endswith(_KERAS):
        keras_file.check(_file(features))
        return
    near = difflib.get_close_matches(features, _FORMS[:2], 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ConfigError(f"--features {features}: is none of {', '.join(_FORMS)}{hint}")


def make(
    group: Group, features: str, real: Samples, input_range: tuple[float, float] | None
) -> Extractor:
    """Return the extractor that ``--features`` names, which ``check`` has let through.

    All ranks must call it; for all but pca after ``devices.prepare_tensorflow``.

    Args:
        group: the ranks.
        features: the option.
        real: samples of the data, to which pca is fitted.
        input_range: what a Keras file takes the lowest and highest value of samples as; None for
            -1 and 1. The others take samples as they are.

    Raises:
        ConfigError: the same on all ranks.
    """
    if features == "pca":
        return pca.fit(real)
    return group.all_or_raise(lambda: _network(features, real, input_range or (-1.0, 1.0)))


def _network(features: str, real: Samples, input_range: tuple[float, float]) -> Extractor:
    """Return an extractor that is a network."""
    from hpcgan.evaluation.features.classifier import ClassifierFeatures

    shape, dtype = real.images.shape[1:], real.images.dtype.name
    check(features, shape, dtype)
    if features == "imagenet":
        return imagenet.ImageNet()
    file = _file(features)
    if features.startswith(_CLASSIFIER):
        return ClassifierFeatures(classifier_file.read(file), str(file))
    return keras_file.KerasFeatures(file, shape, dtype, input_range)


def _file(features: str) -> Path:
    """Return the file that ``--features`` names."""
    return Path(expanded(features.removeprefix(_CLASSIFIER)))


def _check_classifier(file: Path, sample_shape: tuple[int, ...], dtype: str) -> None:
    """Refuse a classifier of other samples."""
    found = classifier_file.read(file)
    if (found.sample_shape, found.dtype) != (sample_shape, dtype):
        raise ConfigError(
            f"{file}: is a classifier of {found.dtype} samples of shape {found.sample_shape}, and "
            f"the data's are {dtype} of shape {sample_shape}; fit one (hpcgan features fit)"
        )
