"""tf.train.Example: the features of a TFRecord's records, as a sample and a label."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import DecodeError

from data_tools.account import Account
from data_tools.conversion import Conversion
from data_tools.formats.pictures import is_picture
from data_tools.labels import as_text
from hpcgan.errors import DataError

# tensorflow/core/example/feature.proto and example.proto: importing TensorFlow takes seconds.
_PROTO = """
name: "example.proto" package: "tensorflow" syntax: "proto3"
message_type { name: "BytesList"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES } }
message_type { name: "FloatList"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_FLOAT } }
message_type { name: "Int64List"
  field { name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 } }
message_type { name: "Feature"
  field { name: "bytes_list" number: 1 label: LABEL_OPTIONAL type: TYPE_MESSAGE
    type_name: ".tensorflow.BytesList" oneof_index: 0 }
  field { name: "float_list" number: 2 label: LABEL_OPTIONAL type: TYPE_MESSAGE
    type_name: ".tensorflow.FloatList" oneof_index: 0 }
  field { name: "int64_list" number: 3 label: LABEL_OPTIONAL type: TYPE_MESSAGE
    type_name: ".tensorflow.Int64List" oneof_index: 0 }
  oneof_decl { name: "kind" } }
message_type { name: "Features"
  field { name: "feature" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE
    type_name: ".tensorflow.Features.FeatureEntry" }
  nested_type { name: "FeatureEntry" options { map_entry: true }
    field { name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }
    field { name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_MESSAGE
      type_name: ".tensorflow.Feature" } } }
message_type { name: "Example"
  field { name: "features" number: 1 label: LABEL_OPTIONAL type: TYPE_MESSAGE
    type_name: ".tensorflow.Features" } }
"""

# Names under which examples hold a sample, its label, and the shape of raw values.
_SAMPLES = ("image", "image_raw", "image/encoded", "data", "images", "x")
_LABELS = ("label", "image/class/label", "image/label", "labels", "y")
_HEIGHTS = ("height", "image/height", "rows")
_WIDTHS = ("width", "image/width", "cols")
_DEPTHS = ("depth", "image/depth", "channels", "image/channels")
_SHAPES = ("shape", "image/shape")
# The last words of names of features that only describe a picture.
_DESCRIBING = ("format", "colorspace", "filename", "file_name", "channels", "height", "width")
_MOST_TEXT = 1000  # bytes of a label
_COSMOFLOW = 4  # channels of CosmoFlow's x, cubes of int16

Features = Mapping[str, Any]
Label = int | float | str | list[int] | list[float]


@lru_cache(maxsize=1)
def _example() -> Any:
    """Return the class of a tf.train.Example."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(text_format.Parse(_PROTO, descriptor_pb2.FileDescriptorProto()))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


def parse(record: bytes, origin: str) -> Features:
    """Return the features of a record, by name."""
    try:
        found: Features = _example().FromString(record).features.feature
    except DecodeError:
        raise DataError(f"{origin}: is no tf.train.Example") from None
    return found


def _values(features: Features, name: str) -> tuple[str, Any]:
    """Return a feature's kind, "bytes", "float" or "int64", and its values; "" if it has none."""
    kind = (name in features and features[name].WhichOneof("kind")) or ""
    return kind.removesuffix("_list"), getattr(features[name], kind).value if kind else ()


@dataclass(frozen=True)
class Fields:
    """The features that are taken of every record, and what they are like in the first one.

    Attributes:
        sample: name of the feature.
        label: name of the feature; None for none.
        kinds: of all features that are used, by name.
        layout: order of the sample's axes, if it is known.
    """

    sample: str
    label: str | None
    kinds: dict[str, str]
    layout: str | None

    @classmethod
    def of(
        cls, features: Features, conversion: Conversion, origin: str, account: Account
    ) -> Fields:
        """Return what to take, by the features of the first record."""
        sample = conversion.images or _first(features, _SAMPLES)
        label = None if conversion.labels else _first(features, _LABELS)
        label = conversion.own_labels or label
        for name in (sample, label):
            if name is not None and name not in features:
                raise DataError(f"{origin}: has no feature '{name}'; {_listed(features)}")
        if sample is None:
            raise DataError(
                f"{origin}: has no feature {' or '.join(_SAMPLES)} (--images NAME); "
                f"{_listed(features)}"
            )
        used = (sample, label, *_SHAPES, *_HEIGHTS, *_WIDTHS, *_DEPTHS)
        if conversion.images is None or conversion.labels is None:
            for name in sorted(features):
                if name not in used and not name.endswith(_DESCRIBING):
                    account.leave_out("features beside the samples and labels", name)
        kinds = _kinds(features, [name for name in used if name])
        layout = None
        if kinds[sample] == "encoded" or _first(features, _HEIGHTS):
            layout = "NHWC"
        elif sample == "data" and _first(features, _SHAPES):
            layout = "NCHW"  # StyleGAN's
        return cls(sample, label, kinds, layout)

    @property
    def is_encoded(self) -> bool:
        """Whether the samples are files of pictures."""
        return self.kinds[self.sample] == "encoded"

    def check(self, features: Features, origin: str) -> None:
        """Refuse a record whose features are of other kinds than those of the first one."""
        own = _kinds(features, list(self.kinds))
        for name, kind in self.kinds.items():
            if own[name] != kind:
                raise DataError(
                    f"{origin}: feature '{name}' is {own[name] or 'not there'}, and in the first "
                    f"record {kind or 'not there'}; all must be alike"
                )

    def label_of(self, features: Features, origin: str) -> Label:
        """Return a record's label as its feature has it: what is text as text."""
        assert self.label is not None
        kind, values = _values(features, self.label)
        if not len(values):
            raise DataError(f"{origin}: its label '{self.label}' has no value")
        if kind == "bytes":
            if len(values) > 1 or len(values[0]) > _MOST_TEXT:
                raise DataError(f"{origin}: its label '{self.label}' is no single, short text")
            return as_text(values[0])
        found: list[Any] = list(values)
        return found if len(found) > 1 else found[0]

    def content_of(self, features: Features, origin: str) -> bytes:
        """Return a record's sample as bytes."""
        values = _values(features, self.sample)[1]
        if len(values) != 1:
            raise DataError(f"{origin}: '{self.sample}' has {len(values)} values, not one")
        content: bytes = values[0]
        return content

    def sample_of(self, features: Features, origin: str) -> np.ndarray:
        """Return a record's sample that is no picture, in the shape that the record gives."""
        kind = self.kinds[self.sample]
        if kind != "raw":
            values = _values(features, self.sample)[1]
            return _shaped(np.array(values, "i8" if kind == "int64" else "f4"), features, origin)
        content = self.content_of(features, origin)
        if side := self._cosmoflow_side(len(content)):
            return np.frombuffer(content, "<i2").reshape(side, side, side, _COSMOFLOW)
        return _shaped(np.frombuffer(content, np.uint8), features, origin)

    def _cosmoflow_side(self, size: int) -> int:
        """Return the cells of a side of CosmoFlow's cubes (x: int16, y: floats), 0 for others."""
        if self.sample != "x" or self.kinds.get("y") != "float":
            return 0
        side = round((size / 2 / _COSMOFLOW) ** (1 / 3))
        return side if side**3 * _COSMOFLOW * 2 == size else 0


def _kinds(features: Features, names: list[str]) -> dict[str, str]:
    """Return the kinds of features, of which the first is the sample.

    Its bytes are "encoded" if they begin as a picture does, unless they are as many as there are
    pixels: then, as all others, "raw".
    """
    kinds = {name: _values(features, name)[0] for name in names}
    if kinds[names[0]] == "bytes":
        values = _values(features, names[0])[1]
        content = values[0] if len(values) else b""
        is_encoded = is_picture(content) and math.prod(_shape(features)) != len(content)
        kinds[names[0]] = "encoded" if is_encoded else "raw"
    return kinds


def _first(features: Features, names: tuple[str, ...]) -> str | None:
    """Return the first of the names that has values."""
    return next((name for name in names if len(_values(features, name)[1])), None)


def _integers(features: Features, names: tuple[str, ...]) -> list[int]:
    """Return the integers of the first feature that is there."""
    name = _first(features, names)
    kind, values = _values(features, name) if name else ("", ())
    return [int(value) for value in values] if kind == "int64" else []


def _shape(features: Features) -> list[int]:
    """Return the shape that other features give a sample; none if there are none."""
    shape = _integers(features, _SHAPES)
    if not shape and (sides := _integers(features, _HEIGHTS) + _integers(features, _WIDTHS)):
        shape = sides + (_integers(features, _DEPTHS) or [1])
    return shape


def _shaped(values: np.ndarray, features: Features, origin: str) -> np.ndarray:
    """Return values in the shape that other features give; flat if there are none."""
    shape = _shape(features)
    if not shape:
        return values
    if len(shape) > 5 or min(shape) < 1 or math.prod(shape) != values.size:
        raise DataError(
            f"{origin}: its features give the shape {tuple(shape)}, of {math.prod(shape)} values, "
            f"and it has {values.size}; of raw bytes, one is a value"
        )
    return values.reshape(shape)


def _listed(features: Features) -> str:
    """Return what features there are, as text."""
    return f"its features are: {', '.join(sorted(features)) or 'none'}"
