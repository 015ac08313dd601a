"""What the documents name exists: programs start, and have the options that they are given."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hpcgan import __version__

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^```\w*\n.*?^```|^(?: {4}[^\n]*\n)+", re.MULTILINE | re.DOTALL)
_PROGRAM = re.compile(
    r"(python3? -m [\w.]+|\bhpcgan-data [a-z]+"
    r"|\bhpcgan (?:scale |features )?[a-z]+|\btensorboard(?= --)"
    r"|\bmpirun(?= )|^ *make [a-z.][\w./-]*)"
)
_OPTION = re.compile(r"--[a-z][a-z-]*(?![\w.-])")  # and no key of a configuration


def _code() -> list[str]:
    """Return the lines of code of all documents, and the code within their text."""
    found = []
    documents = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")]
    for path in (*documents, *sorted((ROOT / "docs").glob("*.md"))):
        text = path.read_text()
        for block in _BLOCK.finditer(text):
            found += re.sub(r"\\\n\s*", "", block[0]).splitlines()
        found += [" ".join(span.split()) for span in re.findall("`([^`]+)`", _BLOCK.sub("", text))]
    return [line.partition(" #")[0] for line in found]


def _programs() -> dict[str, set[str]]:
    """Return the programs that documents name, and the options of each that they name."""
    named: dict[str, set[str]] = {}
    for line in _code():
        _, *pieces = _PROGRAM.split(line)
        for name, rest in zip(pieces[::2], pieces[1::2], strict=True):
            named.setdefault(name.strip(), set()).update(_OPTION.findall(rest))
    return named


PROGRAMS = _programs()


def _start(name: str) -> subprocess.CompletedProcess[str]:
    """Start a program with --help; print what a target of make would do."""
    program, *words = name.split()
    if program == "make":
        words = ["-n", *words]
    elif program.startswith("python"):
        program, words = sys.executable, [*words, "--help"]
    else:
        program, words = str(Path(sys.executable).with_name(program)), [*words, "--help"]
    command = [program, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_a_program_of_the_documents_starts(name: str) -> None:
    done = _start(name)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Sorry" not in done.stdout + done.stderr  # Open MPI's, without its help files
    if name.startswith(("hpcgan", "python -m hpcgan", "python -m tests", "python -m bench")):
        assert PROGRAMS[name] <= set(_OPTION.findall(done.stdout))


def test_all_kinds_of_programs_were_found() -> None:
    wanted = {"hpcgan train", "hpcgan scale report", "hpcgan-data verify", "tensorboard", "mpirun"}
    wanted |= {"python -m benchmarks.speed", "python -m tests.fuzz", "make demo", "make lint"}
    assert wanted <= set(PROGRAMS)
    assert "--ranks-per-node" in PROGRAMS["hpcgan submit"]


def test_the_citation_is_complete_and_of_this_version() -> None:
    """The four keys that version 1.2.0 of the format requires, and ours."""
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(found)
    assert found["cff-version"] == "1.2.0"
    assert found["authors"] == [{"name": "The hpcgan developers"}]
    assert (found["version"], found["license"]) == (__version__, "Apache-2.0")


_MODULE = re.compile(r"\b(?:tests|hpcgan|benchmarks|data_tools|slurm)/[\w/]*\.py\b")
_STANDS_FOR_ONE = {"NAME.py", "WAY.py"}


def test_files_that_the_docs_name_are_there() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    named = {name for page in pages for name in _MODULE.findall(page.read_text(encoding="utf-8"))}
    missing = {name for name in named if not (ROOT / name).exists()}
    assert {name for name in missing if Path(name).name not in _STANDS_FOR_ONE} == set()
