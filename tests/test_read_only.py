"""Every command that writes, in a directory that is read-only: one line that says so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from launching import CONFIG, ENVIRONMENT

# Root may write everywhere but to a disk that is mounted so; its room is 1 MiB.
_MOUNT = """
mount -t tmpfs -o size=1m none "$1" && cd "$1" &&
mount -o remount,ro "$1" && shift && exec "$@"
"""
_RUN = """
import sys
from data_tools.cli import main as data_tools
from hpcgan.cli import main as hpcgan
for line in sys.stdin:
    program, *words = line.split()
    sys.argv = [program, *words]
    status = data_tools(words) if program == "hpcgan-data" else hpcgan()
    sys.stderr.write(f"= {status}\\n")
"""
_READ_ONLY = "cannot be written: Read-only file system; choose another place"

COMMANDS = {
    "hpcgan-data digits o.h5": r"o\.h5",
    "hpcgan-data digits o.h5 --held-out 0.5": r"o\.h5",
    "hpcgan-data synthetic o.h5 --samples 5 --shape 2,2,1": r"o\.h5",
    # There is no room for it either, and nobody can make any.
    "hpcgan-data synthetic o.h5 --samples 2000 --shape 32,32,1": r"o\.h5",
    "hpcgan-data calorimeter o.h5 --count 2 --shape 5,5,5 --compression gzip": r"o\.h5",
    "hpcgan-data convert ../data.h5 o.h5": r"o\.h5",
    "hpcgan-data inspect ../data.h5 --preview o.png": r"o\.png",
    "hpcgan-data reshard ../data.h5 --out o.h5": r"o\.h5",
    "hpcgan-data reshard ../data.h5 --out o.h5 --parts 2": r"o-0000\.h5",
    "hpcgan-data reshard ../data.h5 --out o.h5 --shuffle": r"o\.h5\.shuffle",
    "hpcgan scale weak ../config.yaml --ranks 1 --out o": r"o/runs/weak-\S+\.json",
    "hpcgan train ../config.yaml --data.files [../data.h5] --run-dir r": "r/lock",
}


@pytest.fixture
def read_only(data_file: Path) -> Path:
    """Return a directory to mount such a disk at, if that can be done here."""
    words = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    if os.getuid() or subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a disk")
    data_file.with_name("config.yaml").write_text(CONFIG)
    place = data_file.parent / "disk"
    place.mkdir()
    return place


def test_a_read_only_directory_is_reported_in_one_line(read_only: Path) -> None:
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", _MOUNT, "bash", read_only, sys.executable, "-c", _RUN],
        env=os.environ | ENVIRONMENT,
        input="\n".join(COMMANDS),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stderr.split("= 1\n")
    assert len(said) == len(COMMANDS) + 1, done.stderr
    for (words, name), line in zip(COMMANDS.items(), said, strict=False):
        assert re.fullmatch(f"{words.split()[0]}: {name}: {_READ_ONLY}\n", line), words
