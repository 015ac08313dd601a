"""TFRecord files of tf.train.Example, read by TensorFlow, which checks their checksums."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from data_tools.formats import Images, listed
from data_tools.formats.pictures import Size, check_shape, decode
from hpcgan.devices import prepare_tensorflow
from hpcgan.errors import DataError
from hpcgan.world import World

# Names under which examples usually hold a picture, its class, and the shape of raw pixels.
_IMAGES = ("image", "image_raw", "image/encoded")
_LABELS = ("label", "image/class/label", "image/label")
_SIZES = (("height", "image/height"), ("width", "image/width"), ("depth", "channels"))


def open_tfrecord(world: World, source: Path, size: Size, crop: bool, grey: bool) -> Images:
    """Open a file, or all .tfrecord files in a folder one after the other.

    An example holds PNG or JPEG, or raw uint8 pixels with their height, width and depth. The
    records of a file can only be read in order: a rank reads past those before its own.

    Raises:
        DataError: a file is damaged, or its examples hold no image.
    """
    prepare_tensorflow(world)
    files = listed(source, ".tfrecord", ".tfrecords", ".tfrec")
    samples = sum(1 for _ in _records(files))
    if not samples:
        raise DataError(f"{source}: there are no records")
    origin = f"{files[0]}: record 0"
    features = _features(next(_records(files)), origin)
    first = _image(features, origin, size, crop, grey)
    has_labels = _integer(features, _LABELS) is not None
    state: dict[str, Any] = {"next": -1}

    def read(run: range) -> tuple[np.ndarray, np.ndarray | None]:
        if state["next"] != run.start:
            state["records"] = _records(files)
            for _ in range(run.start):
                next(state["records"])
        images = np.empty((len(run), *first.shape), np.uint8)
        labels = np.zeros(len(run), np.int32)
        for place, number in enumerate(run):
            origin = f"{source}: record {number}"
            own = _features(next(state["records"]), origin)
            picture, label = _image(own, origin, size, crop, grey), _integer(own, _LABELS)
            check_shape(picture, first, origin, "record 0")
            if (label is not None) is not has_labels:
                raise DataError(f"{origin}: only some records have a label")
            images[place] = picture
            labels[place] = label or 0
        state["next"] = run.stop
        return images, labels if has_labels else None

    return Images(samples, first.shape, "uint8", "<i4" if has_labels else None, read)


def _records(files: list[Path]) -> Iterator[bytes]:
    """Yield the records of files."""
    import tensorflow as tf

    for path in files:
        records = iter(tf.data.TFRecordDataset(str(path)))
        while True:
            try:
                record = next(records, None)
            except tf.errors.OpError as error:
                raise DataError(f"{path}: not readable as TFRecord: {error.message}") from None
            if record is None:
                break
            yield record.numpy()


def _features(record: bytes, origin: str) -> Any:
    """Return the features of a record, by name."""
    import tensorflow as tf

    try:
        return tf.train.Example.FromString(record).features.feature
    except Exception:  # protobuf's DecodeError, which TensorFlow does not export
        raise DataError(f"{origin}: is no tf.train.Example") from None


def _image(features: Any, origin: str, size: Size, crop: bool, grey: bool) -> np.ndarray:
    """Return the pixels, uint8 (H, W, C)."""
    for name in _IMAGES:
        if name in features and features[name].bytes_list.value:
            content = features[name].bytes_list.value[0]
            break
    else:
        raise DataError(
            f"{origin}: has no feature {' or '.join(_IMAGES)}; its features are: "
            f"{', '.join(sorted(features)) or 'none'}"
        )
    height, width, depth = (_integer(features, names) for names in _SIZES)
    if content[:8] == b"\x89PNG\r\n\x1a\n" or content[:2] == b"\xff\xd8":
        return decode(content, origin, size, crop, grey)
    if height is None or width is None or height * width * (depth or 1) != len(content):
        raise DataError(
            f"{origin}: its image is neither PNG nor JPEG, nor of the size that its "
            "features height, width and depth give"
        )
    if size is not None or grey:
        raise DataError(f"{origin}: raw pixels are not resized or made grey")
    return np.frombuffer(content, np.uint8).reshape(height, width, depth or 1)


def _integer(features: Any, names: tuple[str, ...]) -> int | None:
    """Return the first of the features that is there and an integer."""
    for name in names:
        if name in features and features[name].int64_list.value:
            return int(features[name].int64_list.value[0])
    return None
