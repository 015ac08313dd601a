"""``hpcgan-data digits``: the files it writes and what it says."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from data_tools.digits import digit_images, split_held_out, write
from hpcgan.errors import ConfigError, DataError


def _read(path):
    with h5py.File(path) as file:
        return file["images"][:], file["labels"][:]


def test_all_digits_in_one_file(hpcgan_data, tmp_path):
    done = hpcgan_data("digits digits.h5")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "digits.h5: 1797 samples, 28x28x1 uint8\n"
    assert [path.name for path in tmp_path.iterdir()] == ["digits.h5"]
    images, labels = _read(tmp_path / "digits.h5")
    expected = digit_images(28)
    np.testing.assert_array_equal(images, expected[0])
    np.testing.assert_array_equal(labels, expected[1])
    assert images.dtype == labels.dtype == np.uint8
    with h5py.File(tmp_path / "digits.h5") as file:
        assert file["images"].chunks == (2**20 // 784, 28, 28, 1)


def test_held_out_samples_are_in_the_second_file_alone(tmp_path):
    lines = write(tmp_path / "some.digits.h5", size=12, held_out=0.2, seed=5)
    held_out = tmp_path / "some.digits-held-out.h5"
    assert lines == [
        f"{tmp_path / 'some.digits.h5'}: 1438 samples, 12x12x1 uint8",
        f"{held_out}: 359 samples, 12x12x1 uint8",
    ]
    images, labels = digit_images(12)
    parts = split_held_out(labels, 0.2, 5)
    for path, indices in zip((tmp_path / "some.digits.h5", held_out), parts, strict=True):
        np.testing.assert_array_equal(_read(path)[0], images[indices])
        np.testing.assert_array_equal(_read(path)[1], labels[indices])


def test_an_old_file_is_replaced(tmp_path):
    out = tmp_path / "digits.h5"
    out.write_text("old")
    (tmp_path / "digits.h5.partial").write_text("left by a killed run" * 10**6)
    write(out, size=8, held_out=None, seed=0)
    assert _read(out)[0].shape == (1797, 8, 8, 1)
    assert list(tmp_path.iterdir()) == [out]


def test_where_there_is_no_directory(tmp_path):
    out = tmp_path / "none" / "digits.h5"
    with pytest.raises(DataError, match=r"none/digits\.h5: there is no directory .*; make it"):
        write(out, size=8, held_out=None, seed=0)


def test_where_a_directory_has_the_name(tmp_path):
    with pytest.raises(DataError, match=r"is a directory; name a file$"):
        write(tmp_path, size=8, held_out=None, seed=0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("digits", "the following arguments are required: OUT.h5; see hpcgan-data digits --help"),
        (
            "digits d.h5 --seed=-1",
            f"argument --seed: '-1' is no whole number from 0 to {2**64 - 1}; see hpcgan-data "
            "digits --help",
        ),
        ("digits d.h5 --held-out 1", "--held-out is 1.0; it must be between 0 and 1"),
        ("digits d.h5 --held 0.2", "unrecognized arguments: --held 0.2; see hpcgan-data --help"),
    ],
)
def test_wrong_command_line(hpcgan_data, failure_line, tmp_path, words, message):
    assert failure_line(hpcgan_data(words)) == f"hpcgan-data: {message}"
    assert list(tmp_path.iterdir()) == []


def test_two_ranks_write_and_speak_once(hpcgan_data, tmp_path):
    done = hpcgan_data("digits digits.h5 --size 8", ranks=2)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "digits.h5: 1797 samples, 8x8x1 uint8\n"
    assert _read(tmp_path / "digits.h5")[0].shape == (1797, 8, 8, 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("digits d.h5 --size 7", "argument --size: '7' is no whole number from 8 to 128"),
        ("digits d.h5 --size 129", "argument --size: '129' is no whole number from 8 to 128"),
        ("digits d.h5 --size big", "argument --size: 'big' is no whole number from 8 to 128"),
    ],
)
def test_two_ranks_complain_once(hpcgan_data, failure_line, words, message):
    line = failure_line(hpcgan_data(words, ranks=2))
    assert line == f"hpcgan-data: {message}; see hpcgan-data digits --help"


def test_full_disk_leaves_the_old_file(python, failure_line, tmp_path):
    (tmp_path / "digits.h5").write_text("old")
    done = python("-c", _LIMITED, "digits", "digits.h5")
    assert failure_line(done, 1).startswith(
        "hpcgan-data: digits.h5: cannot be written: File too larg"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["digits.h5"]
    assert (tmp_path / "digits.h5").read_text() == "old"


# A limit to the size of files stands for a full disk: the system refuses the same writes. It is
# set when MPI has its own files.
_LIMITED = """
import resource, sys
from mpi4py import MPI
from data_tools.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
sys.exit(main())
"""


def test_help_needs_neither_mpi_nor_tensorflow(python):
    done = python("-c", _HELP)
    assert done.returncode == 0, done.stderr
    assert "digits" in done.stdout
    assert "synthetic" in done.stdout


_HELP = """
import sys
from data_tools.cli import main
try:
    main(["--help"])
finally:
    found = {"mpi4py", "tensorflow", "horovod"} & set(sys.modules)
    assert not found, found
"""


def test_a_seed_without_anything_to_choose_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="--seed is 7, which chooses what --held-out holds out"):
        write(tmp_path / "digits.h5", size=8, held_out=None, seed=7)
    assert not list(tmp_path.iterdir())
