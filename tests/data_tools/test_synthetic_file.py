"""``hpcgan-data synthetic``: the same file from any number of ranks, whole or not at all."""

from __future__ import annotations

import re

import h5py
import numpy as np
import pytest

from data_tools import cli
from data_tools.synthetic import Noise


def _expected(noise: Noise) -> dict[str, np.ndarray]:
    """Return the datasets: the chunks' content in order."""
    chunks = [noise.content(noise.layout.samples_of(n)) for n in range(noise.layout.chunks)]
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _chunk(noise: Noise, index: int) -> dict[str, np.ndarray]:
    """Return the content of a chunk."""
    return noise.content(noise.layout.samples_of(index))


def _check(path, noise: Noise) -> None:
    expected = _expected(noise)
    with h5py.File(path) as file:
        assert set(file) == set(expected)
        for name, array in expected.items():
            np.testing.assert_array_equal(file[name][:], array)
            assert file[name].dtype == array.dtype
            assert file[name].chunks == (noise.layout.chunk_samples, *array.shape[1:])


@pytest.mark.parametrize(
    ("words", "noise"),
    [
        (
            "--samples 10 --shape 6,5,3 --chunk 4 --classes 7 --seed 3",
            Noise(10, (6, 5, 3), "uint8", 7, 4, 3),
        ),
        (
            "--samples 9 --shape 4,6,5,2 --dtype float32 --chunk 2",
            Noise(9, (4, 6, 5, 2), "float32", None, 2),
        ),
        ("--samples 3 --shape 8,8,1", Noise(3, (8, 8, 1))),  # one chunk: two ranks have none
    ],
)
def test_one_and_three_ranks_write_the_same_file(hpcgan_data, tmp_path, words, noise):
    one = hpcgan_data(f"synthetic one.h5 {words}")
    three = hpcgan_data(f"synthetic three.h5 {words}", ranks=3)
    assert one.returncode == 0, one.stderr
    assert three.returncode == 0, three.stderr
    _check(tmp_path / "one.h5", noise)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "three.h5").read_bytes()
    size = (tmp_path / "three.h5").stat().st_size
    assert re.fullmatch(
        rf"three\.h5: {noise.samples} samples; {size} bytes, compression none, chunks of "
        rf"{noise.layout.chunk_samples}, written by 3 ranks at \d+ samples/s\n",
        three.stdout,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.h5", "three.h5"]


def test_uint8_is_uniform_and_labels_cover_the_classes():
    content = _chunk(Noise(4096, (4, 4, 1), classes=10), 0)
    assert content["images"].dtype == np.uint8
    counts = np.bincount(content["images"].ravel(), minlength=256)
    assert counts.min() > 180  # 256 expected, standard deviation 16
    assert counts.max() < 340
    assert np.issubdtype(content["labels"].dtype, np.integer)
    assert set(content["labels"]) == set(range(10))


def test_float32_is_normal_and_clipped():
    images = _chunk(Noise(4096, (4, 4, 1), "float32"), 0)["images"]
    assert images.dtype == np.float32
    assert images.min() == -1
    assert images.max() == 1
    assert abs(images.mean()) < 0.02
    assert abs((np.abs(images) == 1).mean() - 0.3173) < 0.02  # normal, beyond 1


def test_content_depends_on_seed_and_chunk():
    noise = Noise(100, (8, 8, 1), chunk=10, seed=1)
    other = Noise(100, (8, 8, 1), chunk=10, seed=2)
    contents = [_chunk(each, index) for each in (noise, other) for index in (0, 1)]
    distinct = {content["images"].tobytes() for content in contents}
    assert len(distinct) == 4
    np.testing.assert_array_equal(_chunk(noise, 1)["images"], contents[1]["images"])


def test_a_longer_file_begins_as_a_shorter_one():
    short, long = (_expected(Noise(n, (3, 3, 1), chunk=4, classes=3)) for n in (10, 19))
    for name in short:
        np.testing.assert_array_equal(long[name][:10], short[name])


@pytest.mark.parametrize(
    ("samples", "shape", "chunk", "expected"),
    [
        (10**6, (28, 28, 1), None, 2**20 // 784),
        (10, (28, 28, 1), None, 10),
        (10, (1024, 1025, 1), None, 1),
        (10, (28, 28, 1), 3, 3),
        (10, (28, 28, 1), 30, 10),
    ],
)
def test_samples_of_a_chunk(samples, shape, chunk, expected):
    assert Noise(samples, shape, chunk=chunk).layout.chunk_samples == expected


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--samples 0", "argument --samples: '0' is no whole number from 1;"),
        ("--shape 28,28", "argument --shape: '28,28' is not H,W,C or D,H,W,C, whole numbers from"),
        ("--shape 28,0,1", "argument --shape: '28,0,1' is not H,W,C or D,H,W,C"),
        ("--shape 1,2,3,4,5", "argument --shape: '1,2,3,4,5' is not H,W,C or D,H,W,C"),
        ("--classes 0", "argument --classes: '0' is no whole number from 1 to 2147483647;"),
        (f"--classes {2**31}", f"argument --classes: '{2**31}' is no whole number from 1 to 2147"),
        ("--chunk 0", "argument --chunk: '0' is no whole number from 1;"),
        ("--seed=-1", "argument --seed: '-1' is no whole number from 0 to"),
        (
            f"--seed {2**64}",
            f"argument --seed: '{2**64}' is no whole number from 0 to {2**64 - 1};",
        ),
        ("--shape 65536,65536,1", f"a chunk of 1 samples has {2**32} bytes, but HDF5 allows"),
    ],
)
def test_values_out_of_bounds(capsys, tmp_path, monkeypatch, option, message):
    monkeypatch.chdir(tmp_path)
    words = f"synthetic x.h5 --samples 5 --shape 8,8,1 {option}"
    assert cli.main(words.split()) == 2
    assert capsys.readouterr().err.startswith(f"hpcgan-data: {message}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("none/x.h5 --samples 3 --shape 8,8,1", "none/x.h5: there is no directory none; make it"),
        (f"x.h5 --samples {10**15} --shape 8,8,1", f"x.h5: needs {64 * 10**15} bytes, but . has "),
        ("x.h5 --samples 3 --shape 8;8", "argument --shape: '8;8' is not H,W,C or D,H,W,C, whole"),
    ],
)
def test_two_ranks_complain_once(hpcgan_data, failure_line, tmp_path, words, message):
    line = failure_line(hpcgan_data(f"synthetic {words}", ranks=2))
    assert line.startswith(f"hpcgan-data: {message}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("limited", "size", "start"),
    [
        (0, 100, "x.h5: cannot be written"),  # while HDF5 lays the file out
        (1, 10_000, "rank 1 of 2: x.h5: cannot be written: File too large"),
    ],
)
def test_a_full_disk_ends_all_ranks(python, failure_line, tmp_path, limited, size, start):
    (tmp_path / "x.h5").write_text("old")
    words = "synthetic x.h5 --samples 5000 --shape 8,8,1 --chunk 100"
    done = python("-c", _LIMITED, limited, size, *words.split(), ranks=2)
    assert failure_line(done, 1).startswith(f"hpcgan-data: {start}")
    assert [path.name for path in tmp_path.iterdir()] == ["x.h5"]
    assert (tmp_path / "x.h5").read_text() == "old"


# On one rank, a limit to the size of files stands for a full disk: the system refuses the same
# writes. It is set when MPI has its own files.
_LIMITED = """
import resource, sys
from hpcgan.world import World
from data_tools.cli import main
limited, size, *words = sys.argv[1:]
if World().rank == int(limited):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(size), int(size)))
sys.exit(main(words))
"""


def test_a_killed_run_leaves_the_old_file_and_the_next_one_replaces_it(
    python, hpcgan_data, tmp_path
):
    (tmp_path / "x.h5").write_text("old")
    words = "synthetic x.h5 --samples 50 --shape 8,8,1"
    killed = python("-c", _KILLED, *words.split())
    assert killed.returncode == -9, killed.stderr
    assert (tmp_path / "x.h5").read_text() == "old"
    assert (tmp_path / "x.h5.partial").exists()
    assert hpcgan_data(words).returncode == 0
    _check(tmp_path / "x.h5", Noise(50, (8, 8, 1)))
    assert [path.name for path in tmp_path.iterdir()] == ["x.h5"]


_KILLED = """
import os, signal, sys
from data_tools.cli import main
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
main()
"""
