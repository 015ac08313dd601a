"""Writes TFRecord files with TensorFlow, from what stdin tells in JSON.

Of each path: a list of records, of each the features by name: a kind and its values. The values of
"bytes" are texts whose characters are the bytes. Paths that end in ".gz" are compressed.
"""

from __future__ import annotations

import json
import sys

import tensorflow as tf


def feature(kind: str, values: list) -> tf.train.Feature:
    """Return a feature."""
    if kind == "bytes":
        content = [value.encode("latin-1") for value in values]
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=content))
    if kind == "float":
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


for path, records in json.load(sys.stdin).items():
    with tf.io.TFRecordWriter(path, "GZIP" if path.endswith(".gz") else "") as writer:
        for record in records:
            made = {name: feature(*each) for name, each in record.items()}
            example = tf.train.Example(features=tf.train.Features(feature=made))
            writer.write(example.SerializeToString())
