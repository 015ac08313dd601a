"""Ranks, cores, threads and GPUs: evaluated from made-up facts."""

from __future__ import annotations

import dataclasses

import pytest

from hpcgan.doctor import placement
from hpcgan.doctor.placement import Placement


def rank(
    node: int = 0, node_rank: int = 0, bound: list[int] | None = None, cores: int = 2, **more
) -> Placement:
    """Return a rank on a node of four cores, bound to two of them."""
    facts = Placement(
        host=f"node{node}",
        node=node,
        node_rank=node_rank,
        bound=[2 * node_rank, 2 * node_rank + 1] if bound is None else bound,
        cores=cores,
        node_cores=4,
        variables={},
        gpus=[],
        visible=None,
    )
    return dataclasses.replace(facts, **more)


def evaluated(ranks: list[Placement], environment: dict[str, str] | None = None):
    """Return status and text by check."""
    found = placement.evaluate(ranks, environment or {})
    return {check: (each.status, each.text) for check, each in found.items()}


def node(number: int = 0, first: int = 0) -> list[Placement]:
    """Return two ranks that fill a node."""
    return [rank(first, each, host=f"node{number}") for each in (0, 1)]


def test_two_full_nodes_are_ok():
    found = evaluated([*node(1, 0), *node(2, 2)])
    assert {status for status, _ in found.values()} == {"ok"}
    assert found["ranks"][1] == "4 on 2 nodes: node1 (2), node2 (2)"
    assert found["cores"][1] == "2 per rank, bound"


def test_nodes_with_fewer_ranks_are_a_warning():
    found = evaluated([*node(1, 0), rank(2, bound=[0, 1, 2, 3], cores=4)])
    assert found["ranks"] == (
        "warning",
        "3 on 2 nodes: node1 (2), node2 (1); not the same number on each",
    )
    assert found["cores"] == ("warning", "from 2 to 4 per rank")


def test_a_slurm_job_of_more_tasks_than_ranks_is_a_warning():
    status, text = evaluated(node(), {"SLURM_NTASKS": "4"})["ranks"]
    assert (status, text.split("; ")[1]) == ("warning", "the Slurm job has 4 tasks")


def test_tasks_that_do_not_find_each_other_have_failed():
    environment = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0"}
    status, text = evaluated([rank()], environment)["ranks"]
    assert status == "failed"
    assert text.startswith("srun started 2 tasks that do not find each other")


@pytest.mark.parametrize(
    ("ranks", "text"),
    [
        (
            [rank(node_rank=each, bound=[0], cores=1) for each in (0, 1)],
            "2 ranks of node0 share 1 of 4 cores, while others are idle",
        ),
        (
            [rank(node_rank=each, bound=[0, 1, 2, 3], cores=1) for each in range(5)],
            "5 ranks of node0 share 4 of 4 cores",
        ),
        (
            [rank(node_rank=each, bound=[each], cores=1) for each in (0, 1)],
            "the ranks of node0 are bound to 2 of its 4 cores",
        ),
    ],
)
def test_cores_that_are_shared_or_idle_are_a_warning(ranks, text):
    assert evaluated(ranks)["cores"] == ("warning", text)


def test_more_threads_than_cores_are_a_warning():
    ranks = [rank(), rank(node_rank=1, variables={"OMP_NUM_THREADS": "4"})]
    assert evaluated(ranks)["threads"] == (
        "warning",
        "OMP_NUM_THREADS is 4 on rank 1, which has 2 cores",
    )
    assert evaluated([rank(variables={"OMP_NUM_THREADS": "2"})])["threads"] == (
        "ok",
        "TensorFlow gets 2 per rank; OMP_NUM_THREADS=2",
    )


def test_waiting_that_takes_the_only_core_is_a_warning():
    busy = {"OMPI_MCA_mpi_yield_when_idle": "0"}
    status, text = evaluated([rank(cores=1, bound=[0], variables=busy)])["threads"]
    assert status == "warning"
    assert "OMPI_MCA_mpi_yield_when_idle is 0" in text
    assert evaluated([rank(variables=busy)])["threads"][0] == "ok"


_TWO = ["nvidia0", "nvidia1"]


@pytest.mark.parametrize(
    ("ranks", "status", "text"),
    [
        ([rank(), rank(node_rank=1)], "ok", "none: runs on processor cores"),
        ([rank(node_rank=n, gpus=_TWO) for n in (0, 1)], "ok", "one per rank, such as nvidia0"),
        (
            [rank(node_rank=n, gpus=_TWO, visible=[str(n)]) for n in (0, 1)],
            "ok",
            "one per rank, such as nvidia0",
        ),
        (  # the job's limits show each rank its own alone, which then is number 0
            [rank(node_rank=n, gpus=[_TWO[n]], visible=["0"]) for n in (0, 1)],
            "ok",
            "one per rank, such as nvidia0",
        ),
        (
            [rank(node_rank=n, gpus=_TWO, visible=["1"]) for n in (0, 1)],
            "warning",
            "ranks 0 and 1 on node0 share GPU nvidia1",
        ),
        (
            [rank(node_rank=n, gpus=_TWO) for n in (0, 1, 2)],
            "warning",
            "ranks 0 and 2 on node0 share GPU nvidia0",
        ),
        (
            [rank(gpus=_TWO, visible=[])],
            "warning",
            "rank 0 on node0 is shown none of nvidia0, nvidia1",
        ),
        (  # a failure is more than the GPU that ranks 0 and 1 share
            [*(rank(node_rank=n, gpus=_TWO, visible=["1"]) for n in (0, 1)), rank(1)],
            "failed",
            "rank 2 on node1 has none, others have",
        ),
    ],
)
def test_gpus_are_one_per_rank(ranks, status, text):
    assert evaluated(ranks)["GPU"] == (status, text)


def test_gpus_on_different_nodes_are_different():
    ranks = [rank(each, gpus=["nvidia0"]) for each in (0, 1)]
    assert evaluated(ranks)["GPU"][0] == "ok"
