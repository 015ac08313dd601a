"""Versions and builds: evaluated from made-up facts, and as they are here."""

from __future__ import annotations

import dataclasses

import pytest

from hpcgan.doctor import software
from hpcgan.doctor.software import Software

_BUILD = {"tensorflow": "2.18.1", "mpi": "libmpi.so.40", "NCCL": "without"}
_FACTS = Software(
    host="node1",
    versions={
        "Python": "3.11.2",
        "tensorflow": "2.18.1",
        "source of hpcgan": "0123456789ab",
        "MPI": "Open MPI v5.0.11",
    },
    mpi_built="Open MPI 5.0.3",
    mpi_file="/opt/openmpi/lib/libmpi.so.40.40.11",
    horovod=_BUILD,
    unloadable="",
    changing="nothing",
    has_docstrings=True,
)


def evaluated(*ranks: Software) -> dict[str, tuple[str, str]]:
    """Return status and text by check."""
    found = software.evaluate(list(ranks))
    return {check: (each.status, each.text) for check, each in found.items()}


def test_what_fits_is_ok():
    found = evaluated(_FACTS, dataclasses.replace(_FACTS, host="node2"))
    assert {status for status, _ in found.values()} == {"ok"}
    assert found["Horovod"][1] == "was built with libmpi.so.40, TensorFlow 2.18.1, without NCCL"


@pytest.mark.parametrize(
    ("change", "check", "status", "text"),
    [
        ({"mpi_built": "MPICH 4.2.0"}, "MPI", "failed", "was built for MPICH 4.2.0"),
        ({"mpi_built": "Open MPI 4.1.5"}, "MPI", "warning", "was built for Open MPI 4.1.5"),
        ({"horovod": None}, "Horovod", "failed", "is not installed with TensorFlow"),
        (
            {"horovod": {**_BUILD, "mpi": "libmpi.so.12"}},
            "Horovod",
            "failed",
            "was built with libmpi.so.12, and /opt/openmpi/lib/libmpi.so.40.40.11 is loaded",
        ),
        (
            {"horovod": {**_BUILD, "mpi": "libmpi.so.4"}},
            "Horovod",
            "failed",
            "was built with libmpi.so.4, and",
        ),
        (
            {"horovod": {**_BUILD, "tensorflow": "2.17.0"}},
            "Horovod",
            "failed",
            "TensorFlow 2.17.0, without NCCL; TensorFlow 2.18.1 is installed",
        ),
        (
            {"horovod": {**_BUILD, "mpi": ""}},
            "Horovod",
            "failed",
            "was built with no MPI",
        ),
        (
            {"versions": {**_FACTS.versions, "tensorflow": "none"}},
            "versions",
            "failed",
            "not installed: tensorflow",
        ),
        (
            {"unloadable": "/site/tf.so: libcudnn.so.9: cannot open shared object file"},
            "versions",
            "failed",
            "installed on node1, and cannot be loaded: /site/tf.so: libcudnn.so.9: cannot open",
        ),
        ({"has_docstrings": False}, "surroundings", "failed", "leaves out docstrings on node1"),
        (
            {"changing": "TF_XLA_FLAGS=--tf_xla_auto_jit=2"},
            "surroundings",
            "ok",
            "TF_XLA_FLAGS=--tf_xla_auto_jit=2 that changes what TensorFlow computes",
        ),
    ],
)
def test_what_does_not_fit_is_found(change, check, status, text):
    found = evaluated(dataclasses.replace(_FACTS, **change))
    assert found[check][0] == status
    assert text in found[check][1]


def test_nodes_with_other_versions_or_another_mpi_are_named():
    versions = {**_FACTS.versions, "Python": "3.11.9"}
    other = dataclasses.replace(_FACTS, host="node7", versions=versions)
    status, text = evaluated(_FACTS, _FACTS, other)["versions"]
    assert status == "failed"
    assert (
        text == "rank 2 on node7 has another Python than rank 0 on node1: 3.11.9 instead of 3.11.2"
    )
    other = dataclasses.replace(_FACTS, host="node7", changing="TF_DETERMINISTIC_OPS=1")
    assert evaluated(_FACTS, other)["surroundings"] == (
        "warning",
        "rank 1 on node7 has TF_DETERMINISTIC_OPS=1, rank 0 on node1 nothing: they compute other "
        "numbers",
    )
    versions = {**_FACTS.versions, "MPI": "Open MPI v4.1.5"}
    other = dataclasses.replace(_FACTS, host="node7", versions=versions)
    assert evaluated(_FACTS, other)["versions"] == (
        "failed",
        "rank 1 on node7 has another MPI than rank 0 on node1: Open MPI v4.1.5 instead of Open MPI "
        "v5.0.11",
    )


def test_this_environment_is_read_without_loading_tensorflow(python):
    program = """
import dataclasses, json, sys
from hpcgan.doctor import software
from hpcgan.world import World
facts = dataclasses.asdict(software.gather(World()))
assert not {"tensorflow", "horovod"} & set(sys.modules)
print(json.dumps(facts))
print([each.status for each in software.evaluate([software.Software(**facts)]).values()])
"""
    done = python("-c", program)
    assert done.returncode == 0, done.stderr
    facts, statuses = done.stdout.splitlines()
    assert statuses == "['ok', 'ok', 'ok', 'ok']", facts


def test_a_tensorflow_of_another_distribution_and_unknown_version_is_taken():
    versions = {**_FACTS.versions, "tensorflow": "unknown"}
    assert evaluated(dataclasses.replace(_FACTS, versions=versions))["Horovod"][0] == "ok"


def test_a_library_that_cannot_be_loaded_is_named_with_what_it_lacks(python, tmp_path, monkeypatch):
    place = tmp_path / "tensorflow" / "python"
    place.mkdir(parents=True)
    (place.parent / "__init__.py").touch()
    (place / "_pywrap_tensorflow_internal.so").write_text("no library")
    program = "from hpcgan.doctor import software; from hpcgan.world import World\n"
    done = python("-c", program + "print(software.gather(World()).unloadable)")
    library = f"{place}/_pywrap_tensorflow_internal.so"
    assert done.stdout == f"{library}: file too short\n", done.stderr
