"""Versions, whether the programs can be loaded, and what around them changes what they do."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from hpcgan import __version__, launch
from hpcgan.doctor.findings import Finding, Findings, failed, ok, warning
from hpcgan.world import World

_INSTALL = "install hpcgan again with this MPI loaded (docs/install.md)"

# What changes the numbers that TensorFlow computes. What is set for Keras has no effect.
_CHANGING = (
    "NVIDIA_TF32_OVERRIDE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "TF_CUDNN_DETERMINISTIC",
    "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_XLA_FLAGS",
)

# Loads libraries one after the other, as TensorFlow and Horovod do, in a process of its own.
_LOAD = """
import ctypes, sys
for path in sys.argv[1:]:
    try:
        ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
    except OSError as error:
        said = str(error).splitlines()[0]
        sys.exit(print(said if said.startswith(path) else f"{path}: {said}"))
"""
_PATIENCE = 20.0  # seconds for that; a file system that needs more is no fault of the libraries
_LIBMPI = r"libmpi(?:ch)?(?:_[a-z0-9_]+)?\.so"


@dataclass(frozen=True)
class Software:
    """What a rank runs with.

    Attributes:
        host: the rank's node.
        versions: as ``launch.versions`` returns them, and the MPI that is loaded, by its own name.
        mpi_built: the MPI that mpi4py was built for, such as "Open MPI 5.0.11".
        mpi_file: the library of the MPI that is loaded.
        horovod: what Horovod was compiled with: the version of ``tensorflow``; the library ``mpi``,
            such as libmpi.so.40, "" without; "NCCL" if GPUs can talk by it. None if Horovod is not
            installed with TensorFlow.
        unloadable: the first of TensorFlow's and Horovod's libraries that cannot be loaded, and
            why; "" if there is none. Found out by the first rank of a node.
        changing: variables that change what TensorFlow computes, with their values; or "nothing".
        has_docstrings: whether Python keeps them; TensorFlow cannot be imported without.
    """

    host: str
    versions: dict[str, str]
    mpi_built: str
    mpi_file: str
    horovod: dict[str, str] | None
    unloadable: str
    changing: str
    has_docstrings: bool


def gather(world: World) -> Software:
    """Return this rank's facts. MPI has started."""
    mpi = world.mpi()
    maps = os.fsdecode(Path("/proc/self/maps").read_bytes())
    loaded = re.search(rf"(/\S*/{_LIBMPI}\S*)", maps)
    mpi_file = loaded[1] if loaded else ""
    return Software(
        host=world.host,
        versions=launch.versions() | {"MPI": re.split(r"[,\n]", mpi["loaded"])[0]},
        mpi_built=mpi["built"],
        mpi_file=mpi_file,
        horovod=_horovod_build(),
        unloadable=_unloadable(mpi_file) if world.node_rank == 0 else "",
        changing=", ".join(f"{n}={os.environ[n]}" for n in _CHANGING if n in os.environ)
        or "nothing",
        has_docstrings=sys.flags.optimize < 2,
    )


def _horovod_build() -> dict[str, str] | None:
    """Return what Horovod was compiled with, from its files: to load it would load TensorFlow."""
    library = _library("horovod", "tensorflow/mpi_lib*.so")
    if library is None:
        return None
    metadata = library.parents[1] / "metadata.json"
    built = json.loads(metadata.read_text(encoding="utf-8"))
    content = library.read_bytes()
    # The names of the libraries that it needs stand in one table, with zeros between.
    mpi = re.search(rb"\0(%s[.\d]*)\0" % _LIBMPI.encode(), content)
    return {
        "tensorflow": built.get("tensorflow", "none"),
        "mpi": mpi[1].decode() if mpi else "",
        "NCCL": "with" if b"ncclAllReduce" in content else "without",
    }


def _library(package: str, pattern: str) -> Path | None:
    """Return a file of a package, which is not imported; None if there is none."""
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec else None
    return next((found for place in places or () for found in Path(place).glob(pattern)), None)


def _unloadable(mpi_file: str) -> str:
    """Return which library cannot be loaded, and why; "" if all can, or it takes too long."""
    libraries = [
        mpi_file,
        _library("tensorflow", "python/_pywrap_tensorflow_internal.so"),
        _library("horovod", "tensorflow/mpi_lib*.so"),
    ]
    command = [sys.executable, "-c", _LOAD, *(str(each) for each in libraries if each)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        return ""
    said = done.stdout.decode(errors="replace").strip()
    return said or (f"status {done.returncode}" if done.returncode else "")


def evaluate(ranks: list[Software]) -> Findings:
    """Evaluate the facts of all ranks."""
    return {
        "versions": _versions(ranks),
        "surroundings": _surroundings(ranks),
        "MPI": _mpi4py(ranks[0]),
        "Horovod": _horovod(ranks[0]),
    }


def _versions(ranks: list[Software]) -> Finding:
    wrong = launch.difference([(each.host, each.versions) for each in ranks])
    if wrong:
        return failed(*wrong.rsplit("; ", 1))
    first = ranks[0].versions
    missing = [name for name, version in first.items() if version == "none"]
    if missing:
        return failed(f"not installed: {', '.join(missing)}", _INSTALL)
    broken = next((each for each in ranks if each.unloadable), None)
    if broken:
        return failed(
            f"installed on {broken.host}, and cannot be loaded: {broken.unloadable}",
            "load the modules that it was built with, or install it again (docs/install.md)",
        )
    text = ", ".join(f"{name} {version}" for name, version in first.items())
    return ok(f"hpcgan {__version__}, {text}")


def _surroundings(ranks: list[Software]) -> Finding:
    """Return whether something in the environment breaks the program, or what it changes."""
    first = ranks[0]
    bare = next((each.host for each in ranks if not each.has_docstrings), None)
    if bare:
        return failed(
            f"Python leaves out docstrings on {bare}, without which TensorFlow cannot be imported",
            "unset PYTHONOPTIMIZE (it is 2), or leave out -OO",
        )
    for rank, each in enumerate(ranks):
        if each.changing != first.changing:
            return warning(
                f"rank {rank} on {each.host} has {each.changing}, rank 0 on {first.host} "
                f"{first.changing}: they compute other numbers",
                "set the same on all nodes (mpirun -x NAME, srun --export)",
            )
    return ok(f"{first.changing} that changes what TensorFlow computes")


def _mpi4py(rank: Software) -> Finding:
    """Return whether mpi4py was built for the MPI that is loaded."""
    loaded = rank.versions["MPI"]
    text = f"{loaded} ({rank.mpi_file or 'file unknown'}); mpi4py was built for {rank.mpi_built}"
    if rank.mpi_built.split(" ")[0] not in loaded:
        return failed(text, f"they do not go together: {_INSTALL}")
    if re.findall(r"\d+", rank.mpi_built)[:1] != re.findall(r"\d+", loaded)[:1]:
        return warning(text, f"another major version: {_INSTALL}")
    return ok(text)


def _horovod(rank: Software) -> Finding:
    """Return whether Horovod fits the MPI that is loaded and the TensorFlow that is installed."""
    build, installed = rank.horovod, rank.versions["tensorflow"]
    if build is None:
        return failed("is not installed with TensorFlow", _INSTALL)
    text = f"was built with {build['mpi'] or 'no MPI'}"
    if not build["mpi"]:
        return failed(text, f"HOROVOD_WITH_MPI=1: {_INSTALL}")
    # libmpi.so.40 is the name that libmpi.so.40.40.11 goes by.
    if rank.mpi_file and not f"{Path(rank.mpi_file).name}.".startswith(f"{build['mpi']}."):
        return failed(f"{text}, and {rank.mpi_file} is loaded", _INSTALL)
    text += f", TensorFlow {build['tensorflow']}, {build['NCCL']} NCCL"
    is_other = build["tensorflow"].split(".")[:2] != installed.split(".")[:2]
    if is_other and installed != "unknown":
        advice = "install Horovod again (docs/install.md)"
        return failed(f"{text}; TensorFlow {installed} is installed", advice)
    return ok(text)
