"""``hpcgan-data reshard``: the same samples in other files."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from data_tools import cli, reshard

COUNTS = (13, 1, 20)
TOTAL = sum(COUNTS)
RNG = np.random.default_rng(2)
IMAGES = RNG.integers(0, 256, (TOTAL, 4, 3, 2), np.uint8)
LABELS = np.arange(TOTAL)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of three files, in which the commands run."""
    first = 0
    for number, count in enumerate(COUNTS):
        with h5py.File(tmp_path / f"in-{number}.h5", "w") as file:
            run = slice(first, first + count)
            compression = "gzip" if number else None
            chunks = (min(count, 4), 4, 3, 2)
            file.create_dataset("images", data=IMAGES[run], chunks=chunks, compression=compression)
            file["labels"] = LABELS[run]
        first += count
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    return tmp_path


def run(*words: object) -> None:
    """Run the command in this process."""
    assert cli.main(["reshard", *map(str, words)]) == 0


def read(*paths: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and labels of files."""
    images, labels = [], []
    for path in paths:
        with h5py.File(path) as file:
            images.append(file["images"][:])
            labels.append(file["labels"][:])
    return np.concatenate(images), np.concatenate(labels)


def test_files_are_merged_in_order(here: Path, capsys) -> None:
    run("in-*.h5", "--out", "out.h5", "--chunk", 5, "--compression", "lzf")
    images, labels = read("out.h5")
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)
    with h5py.File("out.h5") as file:
        assert (file["images"].chunks, file["images"].compression) == ((5, 4, 3, 2), "lzf")
        assert file["labels"].dtype == LABELS.dtype
    assert capsys.readouterr().out.startswith(f"out.h5: {TOTAL} samples; ")


def test_what_a_file_says_of_its_datasets_is_kept(here: Path) -> None:
    with h5py.File("in-0.h5", "r+") as file:
        file["images"].attrs["scale"] = 1.5
        file["images"].attrs["link"] = file["labels"].ref  # means nothing in another file
        file["images"].attrs["huge"] = np.zeros(7600)
        file["images"].attrs["none"] = h5py.Empty("f4")
        file["images"].attrs.create("odd", b"\xff", dtype=h5py.string_dtype())
        file["images"].attrs["range"] = np.array([[1, 2]], "<i2")
        file["labels"].attrs["classes"] = ["ant", "bee"]
    run("in-0.h5", "--out", "out.h5", "--shuffle")
    with h5py.File("out.h5") as file:
        kept = dict(file["images"].attrs)
        assert (kept.pop("range") == [[1, 2]]).all()
        assert kept == {"odd": "\ufffd", "scale": 1.5}
        assert file["images"].attrs["range"].dtype == "<i2"
        assert list(file["labels"].attrs["classes"]) == ["ant", "bee"]


def test_files_are_split_evenly(here: Path) -> None:
    run("in-0.h5", "in-2.h5", "--out", "out.h5", "--parts", 4)
    parts = [f"out-{n:04d}.h5" for n in range(4)]
    assert [len(read(part)[0]) for part in parts] == [8, 8, 8, 9]
    images, labels = read(*parts)
    kept = np.r_[0:13, 14:34]
    np.testing.assert_array_equal(images, IMAGES[kept])
    np.testing.assert_array_equal(labels, LABELS[kept])


@pytest.mark.parametrize("bucket", [1, 5 * 24, 2**28])
def test_a_shuffle_is_a_permutation_with_the_labels_of_its_images(
    here: Path, monkeypatch: pytest.MonkeyPatch, bucket: int
) -> None:
    # Buckets of one sample, of five, and one for all: the order does not depend on them.
    monkeypatch.setattr(reshard, "BUCKET", bucket)
    run("in-*.h5", "--out", "out.h5", "--shuffle", "--seed", 3, "--chunk", 6)
    images, labels = read("out.h5")
    assert sorted(labels) == list(range(TOTAL))
    np.testing.assert_array_equal(images, IMAGES[labels])
    order = np.random.Generator(np.random.Philox(np.random.SeedSequence([3, TOTAL])))
    np.testing.assert_array_equal(labels, order.permutation(TOTAL))
    assert sorted(path.name for path in here.iterdir()) == [
        *(f"in-{n}.h5" for n in range(3)),
        "out.h5",
    ]


def test_one_and_three_ranks_shuffle_alike(python, here: Path) -> None:
    words = "reshard in-0.h5 in-1.h5 in-2.h5 --shuffle --parts 2 --chunk 4 --compression gzip"
    for name, ranks in (("one", None), ("three", 3)):
        done = python("-c", _SMALL_BUCKETS, *words.split(), "--out", f"{name}.h5", ranks=ranks)
        assert done.returncode == 0, done.stderr
    for part in ("0000", "0001"):
        assert Path(f"one-{part}.h5").read_bytes() == Path(f"three-{part}.h5").read_bytes()
    _, labels = read("three-0000.h5", "three-0001.h5")
    assert sorted(labels) == list(range(TOTAL))
    left = {path.name for path in here.iterdir()}
    assert left == {
        *(f"in-{n}.h5" for n in range(3)),
        *(f"{name}-000{n}.h5" for name in ("one", "three") for n in range(2)),
    }


_SMALL_BUCKETS = """
import sys
from data_tools import cli, reshard
reshard.BUCKET = 7 * 24
sys.exit(cli.main(sys.argv[1:]))
"""


def refusal(capsys, *words: object, status: int = 2) -> str:
    """Return what is said of a command that fails: one line, and nothing is left."""
    before = sorted(Path.cwd().rglob("*"))
    assert cli.main(["reshard", *map(str, words)]) == status
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert sorted(Path.cwd().rglob("*")) == before
    return said.err.removeprefix("hpcgan-data: ").rstrip("\n")


def test_what_cannot_be_is_refused(here: Path, capsys) -> None:
    with h5py.File("other.h5", "w") as file:
        file["images"] = np.zeros((2, 4, 3, 1), np.uint8)
        file["labels"] = np.zeros(2, int)
    with h5py.File("bare.h5", "w") as file:
        file["images"] = np.zeros((2, 4, 3, 2), np.uint8)
    assert refusal(capsys, "in-0.h5", "other.h5", "--out", "o.h5").startswith(
        "other.h5: 'images' holds uint8 samples of shape (4, 3, 1), but in-0.h5 holds "
    )
    assert refusal(capsys, "in-0.h5", "bare.h5", "--out", "o.h5") == (
        "bare.h5: there is no dataset 'labels'; its datasets are: images"
    )
    assert refusal(capsys, "in-*.h5", "--out", "in-1.h5") == (
        "--out: in-1.h5 is one of the files to read; choose another"
    )
    assert refusal(capsys, "in-0.h5", "--out", "no/o.h5").startswith("no/o.h5: there is no direc")
    assert refusal(capsys, "in-0.h5", "--out", "o.h5", "--parts", 14) == (
        "--parts is 14; it must be from 1 to 13"
    )
    assert refusal(capsys, "in-0.h5", "--out", "o.h5", "--seed", 3) == (
        "--seed is 3, of the order of --shuffle; give both"
    )
    assert refusal(capsys, "none.h5", "--out", "o.h5").startswith("none.h5: there is no such data")


def test_a_damaged_source_leaves_nothing(here: Path, capsys) -> None:
    with h5py.File("in-2.h5") as file:
        chunk = file["images"].id.get_chunk_info(2)
    content = bytearray(Path("in-2.h5").read_bytes())
    content[chunk.byte_offset + 20] ^= 1
    Path("in-2.h5").write_bytes(content)
    for words in ([], ["--shuffle"], ["--compression", "gzip"]):
        message = refusal(capsys, "in-*.h5", "--out", "o.h5", "--chunk", 9, *words)
        assert message.startswith("in-2.h5: samples ")


def test_what_a_killed_run_left_is_replaced(here: Path) -> None:
    (here / "o.h5.shuffle").mkdir()
    (here / "o.h5.shuffle" / "5-000000").write_bytes(b"x")
    (here / "o.h5.partial").write_bytes(b"x")
    (here / "o.h5.partial.7").write_bytes(b"x")
    run("in-0.h5", "--out", "o.h5", "--shuffle", "--compression", "gzip")
    assert sorted(read("o.h5")[1]) == list(range(13))
    assert {path.name for path in here.iterdir()} == {*(f"in-{n}.h5" for n in range(3)), "o.h5"}


@pytest.mark.parametrize("shuffle", [[], ["--shuffle"]])
def test_labels_of_several_values_stay_with_their_sample(here: Path, shuffle: list[str]) -> None:
    values = np.stack([IMAGES[:13, 0, 0, 0], IMAGES[:13, 1, 0, 0]], axis=1).astype(np.float32)
    with h5py.File("in-0.h5", "r+") as file:
        file["values"] = values
    run("in-0.h5", "--labels", "values", "--out", "out.h5", *shuffle)
    with h5py.File("out.h5") as file:
        images, found = file["images"][:], file["values"][:]
    assert (images[:, :2, 0, 0] == found).all()
    assert sorted(found.tolist()) == sorted(values.tolist())
