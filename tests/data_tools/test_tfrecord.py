"""TFRecord files, written by TensorFlow, and damage done to them."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import launching
import numpy as np
import pytest
from conversions import Case, Converted, convert_all, refusal
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data_tools.account import Account
from data_tools.conversion import Conversion
from data_tools.formats import examples
from hpcgan.errors import DataError

RNG = np.random.default_rng(5)
COUNT = 11
COLOURS = RNG.integers(0, 256, (COUNT, 6, 5, 3), np.uint8)
FLOATS = RNG.normal(size=(COUNT, 4, 3)).astype(np.float32)
CLASSES = (np.arange(COUNT) % 3).astype(np.int32)
CONDITIONS = RNG.normal(size=(COUNT, 4)).astype(np.float32)
UNIVERSES = RNG.integers(0, 300, (COUNT, 2, 2, 2, 4)).astype("<i2")
SHARDS = (range(0, 7), range(7, 8), range(8, COUNT))
TITLE = "beside the samples and labels"

Record = dict[str, tuple[str, Sequence]]


def raw(content: bytes) -> tuple[str, list[str]]:
    """Return a feature of bytes."""
    return "bytes", [content.decode("latin-1")]


def png(pixels: np.ndarray) -> bytes:
    """Return a picture's file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def number(value: int) -> tuple[str, list[int]]:
    """Return a feature of an integer."""
    return "int64", [int(value)]


def encoded(n: int) -> Record:
    """TFDS: a PNG file, an integer, and what is not needed."""
    return {"image": raw(png(COLOURS[n])), "label": number(CLASSES[n]), "id": raw(b"%d" % n)}


def pixels(n: int) -> Record:
    """Raw pixels with their sizes, and a class as text."""
    sizes = {"height": number(6), "width": number(5), "depth": number(3)}
    name = (b"cow", b"ant", b"bee")[CLASSES[n]]
    return {"image_raw": raw(COLOURS[n].tobytes()), "label": raw(name), **sizes}


def stylegan(n: int) -> Record:
    planes = COLOURS[n].transpose(2, 0, 1)
    return {"data": raw(planes.tobytes()), "shape": ("int64", list(planes.shape))}


def floats(n: int) -> Record:
    """Floats with their shape, and one-hot labels."""
    one_hot = [float(k == CLASSES[n]) for k in range(3)]
    values = [float(value) for value in FLOATS[n].ravel()]
    return {"x": ("float", values), "y": ("float", one_hot), "shape": ("int64", [4, 3])}


def cosmoflow(n: int) -> Record:
    parameters = [float(value) for value in CONDITIONS[n]]
    return {"x": raw(UNIVERSES[n].tobytes()), "y": ("float", parameters)}


def energies(n: int) -> Record:
    """Flat floats without a shape, and an energy."""
    flat = [float(value) for value in FLOATS[n].ravel()]
    return {"cells": ("float", flat), "energy": ("float", [float(CONDITIONS[n, 0])])}


def flat(n: int) -> Record:
    """Flat bytes without a shape."""
    return {"image": raw(COLOURS[n].tobytes()), "label": number(CLASSES[n])}


# Of each source its files.
FILES: dict[str, dict[str, list[Record]]] = {
    "tfds": {
        **{f"d-train.tfrecord-0000{s}-of-00003": [encoded(n) for n in SHARDS[s]] for s in range(3)},
        "d-test.tfrecord-00000-of-00001": [encoded(3)],
    },
    "tfds_test": {
        "train-00000-of-00001": [encoded(3)],
        "test-00000-of-00002.gz": [encoded(n) for n in range(4)],
        "test-00001-of-00002": [encoded(n) for n in range(4, COUNT)],
    },
    "one_file": {"a.tfrecord": [pixels(n) for n in range(COUNT)]},
    "stylegan": {
        "d-r02.tfrecords": [stylegan(0)],
        "d-r10.tfrecords": [stylegan(n) for n in range(COUNT)],
    },
    "floats": {"a.tfrec": [floats(n) for n in range(COUNT)]},
    "cosmoflow": {"a.tfrecord.gz": [cosmoflow(n) for n in range(COUNT)]},
    "energies": {"a.tfrecord": [energies(n) for n in range(COUNT)]},
    "flat": {"a.tfrecord": [flat(n) for n in range(COUNT)]},
    # What is refused.
    "mixed": {
        "a.tfrecord": [encoded(0)],
        "b.tfrecord": [pixels(1) | {"image": raw(COLOURS[1].tobytes())}],
    },
    "kinds": {
        "kinds.tfrecord": [encoded(0), encoded(1) | {"label": ("float", [1.0])}],
        "missing.tfrecord": [encoded(0), {"image": encoded(1)["image"]}],
        "lengths.tfrecord": [floats(0), floats(1) | {"y": ("float", [1.0, 0.0])}],
        "sizes.tfrecord": [flat(0), flat(1) | {"image": raw(b"short")}],
        "claims.tfrecord": [pixels(0) | {"height": number(7)}],
        "empty.tfrecord": [],
        "names.tfrecord": [{"pixels": raw(b"x"), "b": number(1)}],
        "cut.tfrecord": [flat(0), flat(1)],
    },
}

LEFT = f"left out: features {TITLE}: 1 (id)"
CASES = {
    "tfds": Case(
        ".",
        COLOURS,
        CLASSES,
        ("files: 3", LEFT, "left out: files of --split test: 1 (d-test.tfrecord-00000-of-00001)"),
    ),
    "tfds_test": Case(". --split test", COLOURS, CLASSES, ("files: 2",)),
    "one_file": Case(
        "a.tfrecord",
        COLOURS,
        np.array([2, 0, 1], np.int32)[CLASSES],
        attributes={"classes": ["ant", "bee", "cow"]},
    ),
    "stylegan": Case(
        ".",
        COLOURS,
        CLASSES,
        ("the largest of 2 resolutions: d-r10.tfrecords", "labels from d-rxx.labels"),
    ),
    "floats": Case(". --strict --compression gzip", FLOATS[..., np.newaxis], CLASSES, ()),
    "cosmoflow": Case(
        ". --values scale:0.5,0",
        UNIVERSES.astype(np.float32) / 2,
        CONDITIONS,
        attributes={"values": "scale:0.5,0"},
    ),
    "energies": Case(
        ". --images cells --labels energy --shape 4,3 --strict",
        FLOATS[..., np.newaxis],
        CONDITIONS[:, 0],
    ),
    "flat": Case(". --shape 6,5,3 --layout NHWC --labels none", COLOURS, None, ("no labels",)),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the place of all sources."""
    place = tmp_path_factory.mktemp("written")
    contents = {}
    for name, files in FILES.items():
        (place / name).mkdir()
        contents |= {str(place / name / file): records for file, records in files.items()}
    script = Path(__file__).with_name("write_tfrecords.py")
    done = subprocess.run(
        [sys.executable, str(script)],
        input=json.dumps(contents),
        env=os.environ | launching.ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    with (place / "stylegan" / "d-rxx.labels").open("wb") as file:
        np.save(file, np.eye(3, dtype=np.float32)[CLASSES])
    return place


@pytest.fixture(scope="module")
def converted(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Converted:
    def make(place: Path) -> Case:
        shutil.copytree(written / place.name, place, dirs_exist_ok=True)
        return CASES[place.name]

    return convert_all(tmp_path_factory.mktemp("converted"), dict.fromkeys(CASES, make))


@pytest.mark.parametrize("name", CASES)
def test_one_process_and_three_write_what_the_source_holds(converted, name: str) -> None:
    converted.check(name)


@pytest.fixture
def here(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory in which the commands run, with copies of the files."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "mixed",
            "mixed/b.tfrecord: record 0: feature 'image' is raw, and in the first record encoded; "
            "all must be alike",
        ),
        (
            "kinds/kinds.tfrecord",
            "record 1: feature 'label' is float, and in the first record int64",
        ),
        ("kinds/missing.tfrecord", "record 1: feature 'label' is not there, and in the first"),
        ("kinds/lengths.tfrecord", "'y': labels have from 2 to 3 values each"),
        (
            "kinds/claims.tfrecord",
            "record 0: its features give the shape (7, 5, 3), of 105 values, and it has 90; of raw "
            "bytes, one is a value",
        ),
        ("kinds/empty.tfrecord", "kinds/empty.tfrecord: there are no records"),
        (
            "kinds/names.tfrecord",
            "(--images NAME); its features are: b, pixels",
        ),
        ("flat", "flat: the images have shape (11, 90); where samples are flattened, --shape "),
    ],
)
def test_records_that_are_not_alike_or_unknown(here, capsys, source: str, message: str) -> None:
    assert message in refusal(capsys, source, "o.h5")


def test_records_of_another_length(here: Path, capsys) -> None:
    words = ("kinds/sizes.tfrecord", "o.h5", "--shape", "6,5,3", "--layout", "NHWC")
    assert refusal(capsys, *words) == (
        "kinds/sizes.tfrecord: record 1: has shape (5,), but record 0 has (90,); all must agree"
    )


def test_shards_and_splits_that_are_missing(here: Path, capsys) -> None:
    Path("tfds/d-train.tfrecord-00001-of-00003").unlink()
    assert refusal(capsys, "tfds", "o.h5") == (
        "tfds: 1 of the 3 shards of d-train.tfrecord are missing; get them, or name one file"
    )
    assert refusal(capsys, "tfds", "o.h5", "--split", "validation") == (
        "tfds: there are no files of the split validation; its files are: test, train (--split)"
    )
    one = "one_file/a.tfrecord"
    assert refusal(capsys, one, "o.h5", "--split", "test").endswith(
        "--split is for a folder of TFRecord files"
    )
    assert refusal(capsys, one, "o.h5", "--images", "x").startswith(
        "one_file/a.tfrecord: record 0: has no feature 'x'; its features are: depth, height,"
    )


def test_damage(here: Path, capsys) -> None:
    path = Path("kinds/cut.tfrecord")
    content = path.read_bytes()
    record = len(content) // 2
    for wrong, message in {
        content[:-1]: f"the record at byte {record} is cut off by the end of the file",
        content[
            : record + 5
        ]: f"at byte {record} there is no record: it is damaged, or no TFRecord",
        content[:20] + b"!" + content[21:]: "the checksum of the record at byte 0 differs",
        b"!" + content[1:]: "at byte 0 there is no record",
    }.items():
        path.write_bytes(wrong)
        said = refusal(capsys, path, "o.h5", "--shape", "6,5,3", "--layout", "NHWC")
        assert said.startswith(f"{path}: {message}"), said
    path.write_bytes(gzip.compress(content)[:-3])
    assert f"{path}: not readable as TFRecord: Compressed file ended" in refusal(capsys, path, "o")


@given(st.binary(max_size=60))
def test_any_bytes_are_an_example_or_refused(content: bytes) -> None:
    with contextlib.suppress(DataError):
        features = examples.parse(content, "a")
        fields = examples.Fields.of(features, Conversion(Path("a")), "a", Account())
        if fields.label is not None:
            fields.label_of(features, "a")
