"""Where the ranks are: ranks a node, cores a rank and how they are bound, threads, GPUs."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hpcgan import launch
from hpcgan.doctor.findings import Finding, failed, listed, ok, warning
from hpcgan.world import World

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_GPU_VISIBLE = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
_YIELD = "OMPI_MCA_mpi_yield_when_idle"


@dataclass(frozen=True)
class Placement:
    """Where a rank is.

    Attributes:
        host: its node's name.
        node: the lowest rank of its node, which tells nodes apart.
        node_rank: its number on its node.
        bound: the processors that it may use.
        cores: those that it can count on, without taking another rank's.
        node_cores: processors of the node that the job may use.
        threads: the variables that set numbers of threads.
        yields: whether MPI lets others have the core while it waits.
        gpus: the GPUs that it may open, such as "nvidia0".
        visible: those of them that it is told to use, by number or name; None for all.
    """

    host: str
    node: int
    node_rank: int
    bound: list[int]
    cores: int
    node_cores: int
    threads: dict[str, str]
    yields: bool
    gpus: list[str]
    visible: list[str] | None


def gather(world: World, environment: Mapping[str, str] = os.environ) -> Placement:
    """Return this rank's facts."""
    job_cores = environment.get("SLURM_CPUS_ON_NODE", "")
    return Placement(
        host=world.host,
        node=world.node_ranks[0],
        node_rank=world.node_rank,
        bound=sorted(os.sched_getaffinity(0)),
        cores=world.cores,
        node_cores=int(job_cores) if job_cores.isdigit() else os.cpu_count() or 1,
        threads={name: environment[name] for name in _THREADS if name in environment},
        yields=environment.get(_YIELD) not in ("0", "false"),
        gpus=_gpus(),
        visible=_visible(environment),
    )


def _gpus() -> list[str]:
    """Return the GPUs that this process may open: a job's limits forbid it the others."""
    found = []
    for path in sorted([*Path("/dev").glob("nvidia[0-9]*"), *Path("/dev").glob("dri/renderD*")]):
        driver = Path(f"/sys/class/drm/{path.name}/device/driver")
        is_amd = driver.exists() and driver.resolve().name == "amdgpu"
        if path.name.startswith("nvidia") or is_amd:
            with suppress(OSError):
                os.close(os.open(path, os.O_RDWR))
                found.append(path.name)
    return found


def _visible(environment: Mapping[str, str]) -> list[str] | None:
    """Return the GPUs that the environment names."""
    for name in _GPU_VISIBLE:
        if name in environment:
            return [each.strip() for each in environment[name].split(",") if each.strip()]
    return None


def by_node(ranks: list[Placement]) -> dict[int, list[tuple[int, Placement]]]:
    """Return the ranks of each node, with their numbers."""
    nodes: dict[int, list[tuple[int, Placement]]] = defaultdict(list)
    for rank, each in enumerate(ranks):
        nodes[each.node].append((rank, each))
    return dict(nodes)


def judge(ranks: list[Placement], environment: Mapping[str, str]) -> list[Finding]:
    """Return the findings.

    Args:
        ranks: the facts of all ranks.
        environment: of rank 0.
    """
    return [_ranks(ranks, environment), _cores(ranks), _threads(ranks), _gpu(ranks)]


def _ranks(ranks: list[Placement], environment: Mapping[str, str]) -> Finding:
    """Judge how many ranks there are, and on which nodes."""
    size = len(ranks)
    wrong = launch.problem(size, environment)
    if wrong:
        return failed("ranks", *wrong.split("; ", 1))
    nodes = {own[0][1].host: len(own) for own in by_node(ranks).values()}
    counts = listed(f"{host} ({count})" for host, count in nodes.items())
    text = f"{size} on {len(nodes)} {'nodes' if len(nodes) > 1 else 'node'}: {counts}"
    tasks = environment.get("SLURM_NTASKS", "")
    if tasks.isdigit() and int(tasks) != size:
        return warning(
            "ranks",
            f"{text}; the Slurm job has {tasks} tasks",
            "start one rank a task: srun, or mpirun without -n",
        )
    if len(set(nodes.values())) > 1:
        return warning(
            "ranks",
            f"{text}; not the same number on each",
            "give each node as many (--ntasks-per-node), or those with fewer will wait",
        )
    return ok("ranks", text)


def _cores(ranks: list[Placement]) -> Finding:
    """Judge how many cores each rank has of its own, and whether some are left over."""
    for own in by_node(ranks).values():
        host, node_cores = own[0][1].host, own[0][1].node_cores
        used = {core for _, each in own for core in each.bound}
        if len(used) < len(own):
            text = f"{len(own)} ranks of {host} share {len(used)} of {node_cores} cores"
            if node_cores >= len(own):
                return warning(
                    "cores",
                    f"{text}, while others are idle",
                    "they are bound to the same: srun --cpu-bind=cores -c N, or mpirun "
                    "--bind-to none",
                )
            return warning("cores", text, "start fewer ranks a node, or ask for more cores")
        if 2 * len(used) <= node_cores:
            return warning(
                "cores",
                f"the ranks of {host} are bound to {len(used)} of its {node_cores} cores",
                "give each rank its part: srun -c N (SRUN_CPUS_PER_TASK), or mpirun --map-by "
                "slot:PE=N",
            )
    counts = {each.cores for each in ranks}
    if len(counts) > 1:
        return warning(
            "cores",
            f"from {min(counts)} to {max(counts)} a rank",
            "give each rank as many: all wait for the slowest",
        )
    first = ranks[0]
    is_bound = len(first.bound) <= min(first.cores, first.node_cores - 1)
    return ok("cores", f"{first.cores} a rank, {'bound' if is_bound else 'not bound'}")


def _threads(ranks: list[Placement]) -> Finding:
    """Judge the variables that set numbers of threads, and MPI's way of waiting."""
    for rank, each in enumerate(ranks):
        for name, value in each.threads.items():
            if value.isdigit() and int(value) > each.cores:
                return warning(
                    "threads",
                    f"{name} is {value} on rank {rank}, which has {each.cores} cores",
                    f"set {name} to the cores of a rank (slurm/train.sbatch does), or unset it",
                )
        if each.cores == 1 and not each.yields:
            return warning(
                "threads",
                f"{_YIELD} is 0, so waiting takes the one core of a rank from computing",
                f"unset {_YIELD}",
            )
    named = ", ".join(f"{name}={value}" for name, value in ranks[0].threads.items())
    return ok("threads", f"TensorFlow gets {ranks[0].cores} a rank{named and f'; {named}'}")


def _gpu(ranks: list[Placement]) -> Finding:
    """Judge whether each rank has a GPU of its own."""
    if not any(each.gpus for each in ranks):
        return ok("GPU", "none: runs on processor cores")
    without = [rank for rank, each in enumerate(ranks) if not each.gpus]
    if without:
        return failed(
            "GPU",
            f"rank {without[0]} on {ranks[without[0]].host} has none, others have",
            "ask for GPUs on every node (--gpus-per-node)",
        )
    for own in by_node(ranks).values():
        used: dict[str, int] = {}
        for rank, each in own:
            gpu = _used_gpu(each)
            if gpu is None:
                return warning(
                    "GPU",
                    f"rank {rank} on {each.host} is shown none of {listed(each.gpus)}",
                    f"look at {' and '.join(_GPU_VISIBLE[:2])}",
                )
            if gpu in used:
                return warning(
                    "GPU",
                    f"ranks {used[gpu]} and {rank} on {each.host} share GPU {gpu}",
                    "start one rank a GPU (--ntasks-per-node as --gpus-per-node)",
                )
            used[gpu] = rank
    return ok("GPU", f"one a rank, such as {_used_gpu(ranks[0])}")


def _used_gpu(rank: Placement) -> str | None:
    """Return the GPU that training would use on a rank (``devices.prepare_tensorflow``)."""
    shown = rank.gpus if rank.visible is None else rank.visible
    if not shown:
        return None
    name = shown[rank.node_rank % len(shown)]
    # A number counts the GPUs that may be opened; the job's limits hide the others.
    return rank.gpus[int(name)] if name.isdigit() and int(name) < len(rank.gpus) else name
