"""TFRecord files of tf.train.Example, read by TensorFlow, which checks their checksums."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from data_tools.account import Account
from data_tools.conversion import Conversion
from data_tools.formats import Format, Images, listed
from data_tools.formats.pictures import check_shape, decode_alone, is_picture
from hpcgan.devices import prepare_tensorflow
from hpcgan.errors import DataError
from hpcgan.world import World

# Names under which examples usually hold a picture, its class, and the shape of raw pixels.
_IMAGES = ("image", "image_raw", "image/encoded")
_LABELS = ("label", "image/class/label", "image/label")
SUFFIXES = (".tfrecord", ".tfrecords", ".tfrec")
_SIZES = (("height", "image/height"), ("width", "image/width"), ("depth", "channels"))


def _open_tfrecord(conversion: Conversion, account: Account, world: World) -> Images:
    """Open a file, or all files of its suffixes in a folder one after the other.

    An example holds PNG or JPEG, or raw uint8 pixels with their height, width and depth. The
    records of a file can only be read in order: a rank reads past those before its own.
    """
    world.all_or_raise(lambda: prepare_tensorflow(world))
    return world.all_or_raise(lambda: _opened(conversion, account))


def _opened(conversion: Conversion, account: Account) -> Images:
    source = conversion.source
    files = listed(source, *SUFFIXES)
    labels = []
    for number, record in enumerate(_records(files)):
        labels.append(_integer(_features(record, f"{source}: record {number}"), _LABELS))
        if (labels[0] is None) is not (labels[-1] is None):
            raise DataError(f"{source}: record {number}: only some records have a label")
    if not labels:
        raise DataError(f"{source}: there are no records")
    origin = f"{files[0]}: record 0"
    first = _image(_features(next(_records(files)), origin), origin, conversion, account)
    state: dict[str, Any] = {"next": -1}

    def read(run: range) -> np.ndarray:
        if state["next"] != run.start:
            state["records"] = _records(files)
            for _ in range(run.start):
                next(state["records"])
        images = np.empty((len(run), *first.shape), np.uint8)
        for place, number in enumerate(run):
            origin = f"{source}: record {number}"
            own = _features(next(state["records"]), origin)
            picture = _image(own, origin, conversion, account)
            check_shape(picture, first.shape, origin)
            images[place] = picture
        state["next"] = run.stop
        return images

    return Images(
        str(source),
        (len(labels), *first.shape),
        np.dtype("u1"),
        read,
        labels=None if labels[0] is None else np.array(labels),
        layout="NHWC",
    )


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


def _content(features: Any, origin: str) -> bytes:
    """Return the encoded picture or the raw pixels."""
    for name in _IMAGES:
        if name in features and features[name].bytes_list.value:
            content: bytes = features[name].bytes_list.value[0]
            return content
    raise DataError(
        f"{origin}: has no feature {' or '.join(_IMAGES)}; its features are: "
        f"{', '.join(sorted(features)) or 'none'}"
    )


def _image(features: Any, origin: str, conversion: Conversion, account: Account) -> np.ndarray:
    """Return the pixels, uint8 (H, W, C)."""
    content = _content(features, origin)
    height, width, depth = (_integer(features, names) for names in _SIZES)
    if is_picture(content):
        return decode_alone(content, origin, conversion, account)
    if conversion.size is not None or conversion.grey:
        raise DataError(f"{origin}: raw pixels are not resized or made grey")
    if height is None or width is None or height * width * (depth or 1) != len(content):
        raise DataError(
            f"{origin}: its image is no picture, nor of the size that its "
            "features height, width and depth give"
        )
    return np.frombuffer(content, np.uint8).reshape(height, width, depth or 1)


def _integer(features: Any, names: tuple[str, ...]) -> int | None:
    """Return the first of the features that is there and an integer."""
    for name in names:
        if name in features and features[name].int64_list.value:
            return int(features[name].int64_list.value[0])
    return None


def _is_tfrecord(source: Path) -> bool:
    names = [path.name for path in source.iterdir()] if source.is_dir() else [source.name]
    return any(name.lower().endswith(SUFFIXES) for name in names)


TFRECORD = Format(
    "tfrecord",
    _is_tfrecord,
    _open_tfrecord,
    frozenset({"size", "crop", "grey", "background", "skip_broken"}),
)
