"""Commands whose standard output is full, closed, read no further, or does not wait."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from launching import CONFIG, ENVIRONMENT, mpirun

from hpcgan.output import Output

INSPECT = ["-m", "data_tools", "inspect", "data.h5"]
FULL = "standard output cannot be written: No space left on device\n"


def shell(data_file: Path, line: str, *words: str, launcher: list[str] | None = None):
    """Return how a line of bash ended, in which "$@" is Python with some words."""
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line, "bash", *(launcher or []), sys.executable, *words],
        cwd=data_file.parent,
        env=os.environ | ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("line", "status", "errors"),
    [
        ('"$@" >/dev/full', 1, f"hpcgan-data: {FULL}"),
        ('"$@" 2>/dev/full', 0, ""),
        ('"$@" >&-', 0, ""),
        ('"$@" 2>&-', 0, ""),
        ('"$@" <&- >&- 2>&-', 0, ""),
        ('"$@" | true', 0, ""),
    ],
)
def test_what_is_said_cannot_be_written(
    data_file: Path, line: str, status: int, errors: str
) -> None:
    done = shell(data_file, line, *INSPECT)
    assert (done.returncode, done.stderr) == (status, errors)


def test_an_error_that_cannot_be_told_keeps_its_status(data_file: Path) -> None:
    for line in ('"$@" 2>/dev/full', '"$@" 2>&-'):
        done = shell(data_file, line, "-m", "data_tools", "inspect", "none.h5")
        assert (done.returncode, done.stdout, done.stderr) == (2, "", "")


def test_a_reader_that_goes_on_gets_all_though_the_pipe_does_not_wait(data_file: Path) -> None:
    """Another program may have set it so, for itself and all that share the pipe."""
    program = """
import os, sys
from hpcgan.output import take_over
os.set_blocking(1, False)
take_over()
for number in range(100_000):
    print(number)
"""
    done = shell(data_file, '"$@" | (sleep 0.2; sha256sum; echo read) ', "-c", program)
    expected = shell(data_file, "seq 0 99999 | sha256sum; echo read", "")
    assert (done.returncode, done.stdout, done.stderr) == (0, expected.stdout, "")


def test_what_the_locale_cannot_say_is_reported_in_escapes(
    data_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    program = "from hpcgan.output import take_over; take_over(); print('größe\\udcff', flush=True)"
    done = shell(data_file, '"$@"', "-c", program)
    assert (done.returncode, done.stdout) == (0, "gr\\xf6\\xdfe\\udcff\n")


def test_lines_appear_again_when_there_is_room_again(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full, (tmp_path / "log").open("w+b") as log:
        place = os.dup(full.fileno())
        with contextlib.closing(Output(place)) as output:
            assert output.write(b"lost\n") == 5
            assert output.error is not None
            assert output.error.errno == errno.ENOSPC
            os.dup2(log.fileno(), place)
            assert output.write(b"kept\n") == 5
        os.close(place)
        assert log.seek(0) == 0
        assert log.read() == b"kept\n"


@pytest.mark.parametrize(
    ("line", "launcher"),
    [
        ('"$@" >/dev/full', None),
        ('"$@" | true', None),
        # mpirun takes what its ranks print, until its own reader has gone.
        ('"$@" | true', mpirun(2)),
    ],
    ids=["full", "gone", "gone for two ranks"],
)
def test_a_run_goes_on_though_its_lines_cannot_be_printed(
    data_file: Path, line: str, launcher: list[str] | None
) -> None:
    data_file.with_name("config.yaml").write_text(CONFIG)
    words = ["-m", "hpcgan", "train", "config.yaml", "--train.steps=20", "--run-dir", "run"]
    done = shell(data_file, line, *words, launcher=launcher)
    assert done.returncode == 0, done.stderr  # of a pipe, that of `true`
    assert "Traceback" not in done.stderr
    assert (f"hpcgan: {FULL}" == done.stderr) == ("full" in line)
    assert (data_file.parent / "run" / "checkpoints" / "step_00000020.h5").exists()
