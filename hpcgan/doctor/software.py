"""Versions, and whether the MPI that runs is the one that mpi4py and Horovod were built for."""

from __future__ import annotations

import importlib.util
import json
import mmap
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpcgan import __version__, launch
from hpcgan.doctor.findings import Finding, failed, ok, warning
from hpcgan.world import World

_INSTALL = "install hpcgan again with this MPI loaded (docs/install.md)"


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
    """

    host: str
    versions: dict[str, str]
    mpi_built: str
    mpi_loaded: str
    mpi_file: str
    horovod: HorovodBuild | None


def gather(world: World) -> Software:
    """Return this rank's facts. MPI has started."""
    mpi = world.mpi()
    return Software(
        host=world.host,
        versions=launch.versions(),
        mpi_built=mpi["built"],
        mpi_loaded=re.split(r"[,\n]", mpi["loaded"])[0],
        mpi_file=_loaded_mpi(),
        horovod=_horovod_build(),
    )


def read(sent: dict[str, Any]) -> Software:
    """Return the facts that a rank sent as JSON."""
    build = sent["horovod"]
    return Software(**{**sent, "horovod": HorovodBuild(**build) if build else None})


def _loaded_mpi() -> str:
    """Return the file of the MPI library in this process, "" if there is none of the usual name."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    found = re.search(r"(/\S*/libmpi(?:ch)?(?:_[a-z0-9_]+)?\.so\S*)", maps)
    return found[1] if found else ""


def _horovod_build() -> HorovodBuild | None:
    """Return what Horovod was compiled with."""
    spec = importlib.util.find_spec("horovod")
    if spec is None or not spec.submodule_search_locations:
        return None
    place = Path(spec.submodule_search_locations[0])
    library = next(place.glob("tensorflow/mpi_lib*.so"), None)
    if library is None:
        return None
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


def judge(ranks: list[Software]) -> list[Finding]:
    """Return the findings.

    Args:
        ranks: the facts of all ranks.
    """
    return [_versions(ranks), _mpi4py(ranks), _horovod(ranks)]


def _versions(ranks: list[Software]) -> Finding:
    wrong = launch.difference([(each.host, each.versions) for each in ranks])
    if wrong:
        return failed("versions", *wrong.rsplit("; ", 1))
    first = ranks[0].versions
    missing = [name for name, version in first.items() if version == "none"]
    if missing:
        return failed("versions", f"not installed: {', '.join(missing)}", _INSTALL)
    text = ", ".join(f"{name} {version}" for name, version in first.items())
    return ok("versions", f"hpcgan {__version__}, {text}")


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
    if build.tensorflow.split(".")[:2] != installed.split(".")[:2]:
        return failed(
            "Horovod",
            f"was built with TensorFlow {build.tensorflow}, and {installed} is installed",
            "install Horovod again (docs/install.md)",
        )
    nccl = "with" if build.has_nccl else "without"
    return ok("Horovod", f"built with {build.mpi}, TensorFlow {build.tensorflow}, {nccl} NCCL")
