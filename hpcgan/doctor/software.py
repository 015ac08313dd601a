"""Versions, whether the programs can be loaded, and what around them changes what they do."""

from __future__ import annotations

import importlib.util
import json
import mmap
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpcgan import __version__, launch
from hpcgan.doctor.findings import Finding, failed, ok, warning
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
_PATIENCE = 20.0  # seconds for that; a file system that needs more says nothing about the libraries


@dataclass(frozen=True)
class HorovodBuild:
    """What Horovod was compiled with, read from its files: loading it would load TensorFlow.

    Attributes:
        tensorflow: the version of TensorFlow.
        mpi: the name of the MPI library, such as libmpi.so.40; "" if it was built without.
        has_nccl: whether GPUs can talk by NCCL.
    """

    tensorflow: str
    mpi: str
    has_nccl: bool


@dataclass(frozen=True)
class Software:
    """What a rank runs with.

    Attributes:
        host: the rank's node.
        versions: as ``launch.versions`` tells them.
        mpi_built: the MPI that mpi4py was built for, such as "Open MPI 5.0.11".
        mpi_loaded: the first words of the MPI that is loaded about itself.
        mpi_file: that library's file.
        horovod: its build, or None if it is not installed with TensorFlow.
        unloadable: the first of TensorFlow's and Horovod's libraries that cannot be loaded, and
            why; "" if there is none. Told by the first rank of a node.
        changing: variables that change what TensorFlow computes.
        has_docstrings: whether Python keeps them; TensorFlow cannot be imported without.
    """

    host: str
    versions: dict[str, str]
    mpi_built: str
    mpi_loaded: str
    mpi_file: str
    horovod: HorovodBuild | None
    unloadable: str
    changing: dict[str, str]
    has_docstrings: bool


def gather(world: World) -> Software:
    """Return this rank's facts. MPI has started."""
    mpi = world.mpi()
    mpi_file = _loaded_mpi()
    return Software(
        host=world.host,
        versions=launch.versions(),
        mpi_built=mpi["built"],
        mpi_loaded=re.split(r"[,\n]", mpi["loaded"])[0],
        mpi_file=mpi_file,
        horovod=_horovod_build(),
        unloadable=_unloadable(mpi_file) if world.node_rank == 0 else "",
        changing={name: os.environ[name] for name in _CHANGING if name in os.environ},
        has_docstrings=sys.flags.optimize < 2,
    )


def read(sent: dict[str, Any]) -> Software:
    """Return the facts that a rank sent as JSON."""
    build = sent["horovod"]
    return Software(**{**sent, "horovod": HorovodBuild(**build) if build else None})


def _loaded_mpi() -> str:
    """Return the file of the MPI library in this process, "" if there is none of the usual name."""
    maps = os.fsdecode(Path("/proc/self/maps").read_bytes())
    found = re.search(r"(/\S*/libmpi(?:ch)?(?:_[a-z0-9_]+)?\.so\S*)", maps)
    return found[1] if found else ""


def _horovod_build() -> HorovodBuild | None:
    """Return what Horovod was compiled with."""
    library = _library("horovod", "tensorflow/mpi_lib*.so")
    if library is None:
        return None
    place = library.parents[1]
    built = json.loads((place / "metadata.json").read_text(encoding="utf-8"))
    with library.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # The names of the libraries that it needs stand in one table, with zeros between.
        mpi = re.search(rb"\0(libmpi(?:ch)?(?:_[a-z0-9_]+)?\.so[.\d]*)\0", content)
        has_nccl = content.find(b"ncclAllReduce") >= 0
        name = mpi[1].decode() if mpi else ""
        del mpi
        content.close()
    return HorovodBuild(built.get("tensorflow", "none"), name, has_nccl)


def _library(package: str, pattern: str) -> Path | None:
    """Return a file of a package, which is not imported; None if there is none."""
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec else None
    return next((found for place in places or () for found in Path(place).glob(pattern)), None)


def _unloadable(mpi_file: str) -> str:
    """Return which library cannot be loaded, and why; "" if all can, or it takes too long."""
    libraries = [
        _library("tensorflow", "python/_pywrap_tensorflow_internal.so"),
        _library("horovod", "tensorflow/mpi_lib*.so"),
    ]
    words = [sys.executable, "-c", _LOAD, *([mpi_file] if mpi_file else [])]
    words += [str(each) for each in libraries if each]
    try:
        done = subprocess.run(
            words, capture_output=True, encoding="utf-8", errors="replace", timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.strip() or (f"status {done.returncode}" if done.returncode else "")


def judge(ranks: list[Software]) -> list[Finding]:
    """Return the findings.

    Args:
        ranks: the facts of all ranks.
    """
    return [_versions(ranks), _surroundings(ranks), _mpi4py(ranks), _horovod(ranks)]


def _versions(ranks: list[Software]) -> Finding:
    wrong = launch.difference([(each.host, each.versions) for each in ranks])
    if wrong:
        return failed("versions", *wrong.rsplit("; ", 1))
    first = ranks[0].versions
    missing = [name for name, version in first.items() if version == "none"]
    if missing:
        return failed("versions", f"not installed: {', '.join(missing)}", _INSTALL)
    broken = next((each for each in ranks if each.unloadable), None)
    if broken:
        return failed(
            "versions",
            f"installed on {broken.host}, and cannot be loaded: {broken.unloadable}",
            "load the modules that it was built with, or install it again (docs/install.md)",
        )
    text = ", ".join(f"{name} {version}" for name, version in first.items())
    return ok("versions", f"hpcgan {__version__}, {text}")


def _surroundings(ranks: list[Software]) -> Finding:
    """Return whether something in the environment breaks the program, or what it changes."""
    check, first = "surroundings", ranks[0]
    bare = next((each for each in ranks if not each.has_docstrings), None)
    if bare:
        return failed(
            check,
            f"Python leaves out docstrings on {bare.host}, without which TensorFlow cannot be "
            "imported",
            "unset PYTHONOPTIMIZE (it is 2), or leave out -OO",
        )
    for rank, each in enumerate(ranks):
        if each.changing != first.changing:
            return warning(
                check,
                f"rank {rank} on {each.host} has {_listed(each.changing)}, rank 0 on {first.host} "
                f"{_listed(first.changing)}: they compute other numbers",
                "set the same on all nodes (mpirun -x NAME, srun --export)",
            )
    return ok(check, f"{_listed(first.changing)} that changes what TensorFlow computes")


def _listed(variables: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in variables.items()) or "nothing"


def _mpi4py(ranks: list[Software]) -> Finding:
    other = next((each for each in ranks if each.mpi_loaded != ranks[0].mpi_loaded), None)
    if other:
        return failed(
            "MPI",
            f"{other.host} loads {other.mpi_loaded}, {ranks[0].host} {ranks[0].mpi_loaded}",
            "load the same MPI on all nodes",
        )
    first = ranks[0]
    text = f"{first.mpi_loaded} ({first.mpi_file or 'file unknown'}); mpi4py was built for "
    text += first.mpi_built
    built = re.findall(r"\d+", first.mpi_built)
    loaded = re.findall(r"\d+", first.mpi_loaded)
    if first.mpi_built.split(" ")[0] not in first.mpi_loaded:
        return failed("MPI", text, f"they do not go together: {_INSTALL}")
    if built[:1] != loaded[:1]:
        return warning("MPI", text, f"another major version: {_INSTALL}")
    return ok("MPI", text)


def _horovod(ranks: list[Software]) -> Finding:
    """Return whether Horovod fits the MPI that is loaded and the TensorFlow that is installed."""
    first = ranks[0]
    build = first.horovod
    if build is None:
        return failed("Horovod", "is not installed with TensorFlow", _INSTALL)
    if not build.mpi:
        return failed("Horovod", "was built without MPI", f"HOROVOD_WITH_MPI=1: {_INSTALL}")
    # libmpi.so.40 is the name that libmpi.so.40.40.11 goes by.
    if first.mpi_file and not f"{Path(first.mpi_file).name}.".startswith(f"{build.mpi}."):
        return failed(
            "Horovod", f"was built with {build.mpi}, and {first.mpi_file} is loaded", _INSTALL
        )
    installed = first.versions["tensorflow"]
    if installed != "unknown" and build.tensorflow.split(".")[:2] != installed.split(".")[:2]:
        return failed(
            "Horovod",
            f"was built with TensorFlow {build.tensorflow}, and {installed} is installed",
            "install Horovod again (docs/install.md)",
        )
    nccl = "with" if build.has_nccl else "without"
    return ok("Horovod", f"built with {build.mpi}, TensorFlow {build.tensorflow}, {nccl} NCCL")
