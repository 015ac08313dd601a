"""The process that opens HDF5 files: what kills it is named, and it is there for the next file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import h5py
import launching
import numpy as np
import pytest

from hpcgan import files, hdf5_limits
from hpcgan.data import headers
from hpcgan.errors import DataError, RunError
from hpcgan.hdf5 import MEMORY, Hdf5Error, Hdf5Process

ROOT = Path(__file__).parents[1]


@pytest.fixture
def process() -> Iterator[Hdf5Process]:
    """Return a process of the test's own."""
    made = Hdf5Process()
    yield made
    made.close()


def header(process: Hdf5Process, file: Path) -> int:
    """Return a file's number of samples."""
    value, _ = process.call(headers.header, str(file), "images", None)
    return int(value["length"])


def running() -> set[int]:
    """Return the processes that read HDF5 files for this one."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
            if (
                int(parent) == os.getpid()
                and b"hpcgan.hdf5_process" in (path / "cmdline").read_bytes()
            ):
                found.add(int(path.name))
    return found


def kill(number: signal.Signals, process: Hdf5Process, file: Path) -> None:
    """Start a process by a call, and kill it; return when it has ended."""
    before = running()
    header(process, file)
    (pid,) = running() - before
    os.kill(pid, number)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_one_process_makes_many_calls(process: Hdf5Process, data_file: Path) -> None:
    assert header(process, data_file) == 40
    first = running()
    with pytest.raises(DataError, match="there is no dataset 'other'"):
        process.call(headers.header, str(data_file), "other", None)
    assert header(process, data_file) == 40
    assert running() == first


def test_arrays_of_any_shape_arrive(process: Hdf5Process, data_file: Path) -> None:
    with h5py.File(data_file) as file:
        expected = file["images"][:]
    words = (str(data_file), "images")
    for start, stop in ((0, 40), (3, 4), (2, 2)):
        _, (rows,) = process.call(headers.rows, *words, start, stop)
        np.testing.assert_array_equal(rows, expected[start:stop])


def test_a_process_that_died_between_calls_is_started_again(
    process: Hdf5Process, data_file: Path
) -> None:
    kill(signal.SIGSEGV, process, data_file)
    assert header(process, data_file) == 40


def test_names_are_seen_from_where_the_calling_process_is(
    process: Hdf5Process, data_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header(process, data_file)
    monkeypatch.chdir(data_file.parent)
    assert header(process, Path(data_file.name)) == 40


DIES = """#!/bin/sh
echo started >> {log}
echo '{{"value": "ready"}}'
read question
kill -{signal} $$
"""


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGSEGV, "HDF5 crashes on it (SIGSEGV): it is damaged"),
        (signal.SIGPROF, "HDF5 does not return from it: it is damaged"),
    ],
)
def test_a_file_that_kills_the_process_is_reported(
    process: Hdf5Process,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    said: str,
) -> None:
    script, log = tmp_path / "dies", tmp_path / "log"
    script.write_text(DIES.format(log=log, signal=number.name.removeprefix("SIG")))
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(Hdf5Error) as caught:
        process.call(headers.header, "a.h5", "images", None)
    assert str(caught.value) == said
    assert log.read_text() == "started\n"  # a fresh one: the file alone did it


def test_a_file_that_kills_a_used_process_is_read_once_more_alone(
    process: Hdf5Process, tmp_path: Path, data_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill(signal.SIGABRT, process, data_file)
    script, log = tmp_path / "dies", tmp_path / "log"
    script.write_text(DIES.format(log=log, signal="SEGV"))
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(Hdf5Error, match="SIGSEGV"):
        header(process, data_file)
    assert log.read_text() == "started\n"


def test_time_is_limited(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # opening it waits for a writer that never comes
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["link"] = h5py.ExternalLink(str(tmp_path / "pipe"), "images")
        file["images"] = h5py.SoftLink("/link")
    process = Hdf5Process(seconds=0.1)
    with pytest.raises(Hdf5Error, match="does not return"):
        header(process, path)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (
            signal.SIGKILL,
            r"ended by SIGKILL, as where memory runs out \(\d+ bytes are free\); ask for",
        ),
        (
            signal.SIGXCPU,
            r"ended by SIGXCPU, a limit of its processor time; raise it \(ulimit -t\)",
        ),
        (signal.SIGTERM, "ended by SIGTERM; start it again"),
    ],
)
def test_a_process_that_is_ended_from_outside_is_not_the_file_s_fault(
    process: Hdf5Process,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    said: str,
) -> None:
    script = tmp_path / "dies"
    name = number.name.removeprefix("SIG")
    script.write_text(DIES.format(log=tmp_path / "log", signal=name))
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(RunError, match=f"^a.h5: the process that reads it was {said}"):
        process.call(headers.header, "a.h5", "images", None)


def test_a_limit_of_the_user_s_that_is_too_small_is_reported(tmp_path: Path) -> None:
    shape = (1, 2**27, 1, 1)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        images = file.create_dataset("images", shape, np.uint8, chunks=shape, compression="gzip")
        images.id.write_direct_chunk((0, 0, 0, 0), zlib.compress(bytes(2**27), 1))
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (3 * 10**8,) * 2)\n"
        "from hpcgan.hdf5 import call; from hpcgan.data import headers\n"
        "call(headers.rows, 'a.h5', 'images', 0, 1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | launching.ENVIRONMENT | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.stderr.splitlines()[-1] == (
        "hpcgan.errors.RunError: a.h5: memory ran out while HDF5 read it: it may need "
        f"{MEMORY + 8 * 2**27} bytes, and a process may have 300000000; raise that (ulimit -v)"
    )


def test_a_node_without_memory_for_the_content_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5_limits, "free_memory", lambda: 999)
    for work, said in (
        (1000, "it needs 1000 bytes, and 999 are free; ask for more memory"),
        (999, ""),
    ):
        hdf5_limits.allow(work)
        assert hdf5_limits.shortage().startswith(said)
        assert bool(hdf5_limits.shortage()) == bool(said)


def test_memory_is_limited(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    shape = (1, 8, 8, 1)
    with h5py.File(path, "w") as file:
        array = file.create_dataset("images", shape, np.uint8, chunks=shape, compression="gzip")
        # HDF5 makes room for whatever a chunk becomes.
        array.id.write_direct_chunk((0, 0, 0, 0), zlib.compress(bytes(3 * 10**8)))
    process = Hdf5Process(memory=2**28)
    with pytest.raises(Hdf5Error):
        process.call(headers.rows, str(path), "images", 0, 1)
    process.close()


def test_an_interpreter_that_cannot_start_is_reported(
    process: Hdf5Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RunError, match="could not be started to read HDF5 files"):
        process.call(headers.header, "a.h5", "images", None)


def test_it_runs_no_function_that_is_not_marked_for_it(
    process: Hdf5Process, tmp_path: Path
) -> None:
    path = tmp_path / "a.h5"
    path.touch()
    for function in (os.unlink, files.check_is_file):
        with pytest.raises(Hdf5Error, match="may not be run here"):
            process.call(function, str(path))
    assert path.exists()


def test_what_it_runs_imports_neither_mpi_nor_tensorflow() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in ("hpcgan", "data_tools")
        for path in sorted((ROOT / package).rglob("*.py"))
        if "@hdf5_limits.served" in path.read_text(encoding="utf-8")
    ]
    assert {each.partition(".")[0] for each in modules} == {"hpcgan", "data_tools"}
    code = (
        f"import importlib, sys; [importlib.import_module(each) for each in {modules}];"
        "print(sorted({'mpi4py', 'tensorflow', 'keras', 'horovod'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
