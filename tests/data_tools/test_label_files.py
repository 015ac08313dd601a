"""Labels that name their samples: tables and StyleGAN's dataset.json."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from conversions import conversion, refusal
from PIL import Image

NAMES = ("x/a.png", "x/b.png", "y/c.png")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory in which the commands run, with three pictures in p."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(NAMES):
        path = tmp_path / "p" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((2, 2), number, np.uint8)).save(path)
    return tmp_path


# A table, the labels in the order of the pictures, and names of their classes.
TABLES: dict[str, tuple[str, list, list[str]]] = {
    "paths": ("y/c.png,5\nx/a.png,3\nx/b.png,4\n", [3, 4, 5], []),
    "names of files": ("/old/place/c.png,5\na.png,3\nb.png,4", [3, 4, 5], []),
    "no suffixes, headers, tabs": (
        "id\tbreed\nb\tpug\na\thusky\nc\tpug\n",
        [0, 1, 1],
        ["husky", "pug"],
    ),
    "a byte order mark": ("\ufeff./x/a.png,1\r\n./x/b.png,0\r\n./y/c.png,1\r\n", [1, 0, 1], []),
    "real": ("name,energy\na.png,0.5\nb.png,1e3\nc.png,-2\n", [0.5, 1000, -2], []),
    "several": ("a.png,1,0.5\nb.png,2,0.25\nc.png,3,0\n", [[1, 0.5], [2, 0.25], [3, 0]], []),
    "texts like numbers": ("a.png,01\nb.png,x\nc.png,1\n", [0, 2, 1], ["01", "1", "x"]),
    "quoted": ('"a.png","one, two"\nb.png,z\nc.png,z\n', [0, 1, 1], ["one, two", "z"]),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_gives_each_sample_its_label(here: Path, capsys, case: str) -> None:
    text, expected, classes = TABLES[case]
    Path("t.csv").write_text(text, newline="")
    conversion(capsys, "p", "o.h5", "--labels", "t.csv")
    with h5py.File("o.h5") as file:
        labels = file["labels"]
        np.testing.assert_array_equal(labels, expected)
        is_real = any(isinstance(each, float) for each in np.ravel(expected).tolist())
        assert labels.dtype == (np.float32 if is_real else np.int32)
        assert list(labels.attrs.get("classes", [])) == classes


def test_a_column_is_chosen_by_its_header(here: Path, capsys) -> None:
    Path("t.csv").write_text("file,kind,age\na.png,cat,3\nb.png,dog,4\nc.png,cat,5\nd.png,eel,6\n")
    said = conversion(capsys, "p", "o.h5", "--labels", "t.csv:age")
    assert "\n  the first line of t.csv taken for its headers" in said
    assert "\n  labels in t.csv of names that no sample has: 1 (d.png)" in said
    with h5py.File("o.h5") as file:
        np.testing.assert_array_equal(file["labels"], [3, 4, 5])
    assert refusal(capsys, "p", "n.h5", "--labels", "t.csv:size") == (
        "t.csv: there is no column 'size'; its columns are: kind, age"
    )
    assert refusal(capsys, "p", "n.h5", "--labels", "t.csv") == (
        "t.csv: its columns are not all numbers; --labels t.csv:NAME takes the one of that header"
    )


def test_a_table_that_does_not_fit_is_refused(here: Path, capsys) -> None:
    def refused(text: str) -> str:
        Path("t.csv").write_text(text)
        return refusal(capsys, "p", "o.h5", "--labels", "t.csv").removeprefix("t.csv: ")

    assert refused("a.png,1\nc.png,2\n") == "1 of 3 samples have no label: x/b.png"
    assert (
        refused("a.png,1\na.png,2\nb.png,0\nc.png,2\n") == "1 names are named more than once: a.png"
    )
    assert refused("q,1\n") == (
        "it names no sample: it is empty; the names of the samples are x/a.png, x/b.png, y/c.png"
    )
    assert refused("a.png,1\nb.png\n") == "row 2 has 1 columns, and the first 2"
    assert refused("a.png\n") == (
        "must have a name and a label in each line, separated by , or tab"
    )
    assert refused('a.png,"1\n').startswith("not readable as a table: ")
    Path("t.csv").write_bytes(b"a.png,\xff\n")
    assert "t.csv: not readable as a table: " in refusal(capsys, "p", "o.h5", "--labels", "t.csv")
    Image.fromarray(np.zeros((2, 2), np.uint8)).save("p/y/a.png")
    assert refused("a.png,1\nb.png,2\nc.png,3\n") == "1 names are names of several samples: a.png"
    np.save("n.npy", np.zeros((3, 4, 4), np.uint8))
    assert refusal(capsys, "n.npy", "o.h5", "--labels", "t.csv") == (
        "t.csv: names samples, but those of this source have no names"
    )


def test_dataset_json(here: Path, capsys) -> None:
    rows = [["x/b.png", [0, 1.5]], ["x/a.png", [2, 3]], ["y/c.png", [4, 5]]]
    Path("dataset.json").write_text(json.dumps({"labels": rows}))
    conversion(capsys, "p", "o.h5", "--labels", "dataset.json")
    with h5py.File("o.h5") as file:
        np.testing.assert_array_equal(file["labels"], [[2, 3], [0, 1.5], [4, 5]])

    def refused(content: object) -> str:
        Path("dataset.json").write_text(json.dumps(content))
        said = refusal(capsys, "p", "n.h5", "--labels", "dataset.json")
        return said.removeprefix("dataset.json: ")

    begin = "not readable as StyleGAN's dataset.json: "
    assert refused([1]) == f'{begin}it has no "labels"'
    assert refused({"labels": [["x/a.png"]]}) == (
        f'{begin}its "labels" are no pairs of a name and a label'
    )
    assert refused({"labels": None}).startswith("it names no sample: it is empty; ")
    assert refused({"labels": [*rows[:2], ["y/c.png", 4]]}) == (
        "its labels are neither numbers nor texts nor lists of numbers"
    )
    # Inside a source: the labels, or none and no classes either.
    Path("p/dataset.json").write_text('{"labels": null}')
    said = conversion(capsys, "p", "o.h5")
    assert "\n  no labels, as says StyleGAN's dataset.json; its folders are no classes" in said
    with h5py.File("o.h5") as file:
        assert "labels" not in file
