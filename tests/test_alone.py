"""Commands of one process: they run where MPI does not start, and once however often started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from launching import only_line

import data_tools.cli
from hpcgan import cli


@pytest.fixture(autouse=True)
def _no_mpi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data_file: Path) -> None:
    """Have the import of mpi4py fail, in a directory with data.h5 and a configuration for it."""
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("data: {files: [data.h5]}\n")


def _run(monkeypatch: pytest.MonkeyPatch, words: str) -> int:
    """Run a command line of hpcgan or hpcgan-data in this process; return its status."""
    program, *rest = words.split()
    monkeypatch.setattr(sys, "argv", [program, *rest])
    return cli.main() if program == "hpcgan" else data_tools.cli.main()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("hpcgan submit config.yaml --dry-run", "#!/bin/bash -l\n"),
        ("hpcgan-data inspect data.h5", "data.h5: "),
        ("hpcgan-data digits digits.h5 --size 8", "digits.h5: 1797 samples, 8x8x1 uint8\n"),
    ],
)
def test_a_command_of_one_process_starts_no_mpi(monkeypatch, capsys, words, said):
    assert _run(monkeypatch, words) == 0
    assert capsys.readouterr().out.startswith(said)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("hpcgan submit none.yaml", "none.yaml: there is no such config file"),
        ("hpcgan inspect none.h5", "none.h5: there is no such checkpoint"),
        ("hpcgan export none.h5 --out g.onnx", "none.h5: there is no such checkpoint"),
        ("hpcgan export none.h5 --out g.onnx --opset 19", "argument --opset: '19' is no whole num"),
        ("hpcgan scale report nowhere", "nowhere: "),
        ("hpcgan scale predict nowhere --sizes 4", "nowhere"),
        ("hpcgan-data inspect none.h5", "none.h5: there is no such data file"),
        # A line that cannot be understood is nobody's: no command of many ranks begins with it.
        ("hpcgan trian config.yaml", "argument COMMAND: invalid choice: 'trian'"),
        ("hpcgan train", "the following arguments are required: CONFIG.yaml"),
        ("hpcgan-data verify", "the following arguments are required: "),
    ],
)
def test_what_is_wrong_is_reported_without_mpi(monkeypatch, capsys, words, line):
    assert _run(monkeypatch, words) == 2
    said = capsys.readouterr().err.replace("hpcgan-data: ", "hpcgan: ")
    assert only_line(said).startswith(line)


@pytest.mark.parametrize(("number", "said"), [("0", "#!/bin/bash -l\n"), ("1", "")])
def test_of_several_tasks_the_first_alone_speaks(monkeypatch, capsys, number, said):
    # As in the shell of `srun -n 2 --pty bash`, or by `srun -n 2 hpcgan submit ...`.
    for name, value in (("STEP_NUM_TASKS", "2"), ("PROCID", number)):
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert _run(monkeypatch, "hpcgan submit config.yaml --dry-run") == 0
    printed = capsys.readouterr().out
    assert printed.startswith(said)
    assert bool(printed) == bool(said)


@pytest.mark.parametrize(("number", "status"), [("0", 2), ("1", 0)])
def test_wrong_words_for_it_are_reported_without_mpi_by_the_first_task(
    monkeypatch, capsys, number, status
):
    for name, value in (("STEP_NUM_TASKS", "2"), ("PROCID", number)):
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert _run(monkeypatch, "hpcgan submit config.yaml --nodes none") == status
    said = capsys.readouterr().err
    assert bool(said) == bool(status)
    assert "Traceback" not in said


def test_a_command_of_many_ranks_needs_mpi(monkeypatch):
    with pytest.raises(ImportError, match="mpi4py"):
        _run(monkeypatch, "hpcgan-data verify data.h5")
