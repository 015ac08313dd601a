"""Where the ranks are: ranks per node, cores per rank and how they are bound, threads, GPUs."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hpcgan import launch
from hpcgan.doctor.findings import Finding, Findings, failed, listed, ok, warning
from hpcgan.world import World

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_GPU_VISIBLE = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
_YIELD = "OMPI_MCA_mpi_yield_when_idle"  # 0: MPI keeps the core while it waits


@dataclass(frozen=True)
class Placement:
    """Where a rank is.

    Attributes:
        host: its node's name.
        node: the lowest rank of its node, which identifies the node.
        node_rank: its number on its node.
        bound: the processors that it may use.
        cores: those that it can count on, without taking another rank's.
        node_cores: processors of the node that the job may use.
        variables: those that set numbers of threads and MPI's way of waiting.
        gpus: the GPUs that it may open, such as "nvidia0".
        visible: those of them that the environment names, by number or name; None for all.
    """

    host: str
    node: int
    node_rank: int
    bound: list[int]
    cores: int
    node_cores: int
    variables: dict[str, str]
    gpus: list[str]
    visible: list[str] | None


def gather(world: World, environment: Mapping[str, str] = os.environ) -> Placement:
    """Return this rank's facts."""
    job_cores = environment.get("SLURM_CPUS_ON_NODE", "")
    visible = next((environment[name] for name in _GPU_VISIBLE if name in environment), None)
    return Placement(
        host=world.host,
        node=world.node_ranks[0],
        node_rank=world.node_rank,
        bound=sorted(os.sched_getaffinity(0)),
        cores=world.cores,
        node_cores=int(job_cores) if job_cores.isdigit() else os.cpu_count() or 1,
        variables={n: environment[n] for n in (*_THREADS, _YIELD) if n in environment},
        gpus=_gpus(),
        visible=None if visible is None else [n.strip() for n in visible.split(",") if n.strip()],
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


def evaluate(ranks: list[Placement], environment: Mapping[str, str]) -> Findings:
    """Evaluate the facts of all ranks, with rank 0's environment."""
    nodes = defaultdict(list)
    for each in ranks:
        nodes[each.node].append(each)
    every = list(nodes.values())
    return {
        "ranks": _ranks(ranks, every, environment),
        "cores": _cores(ranks, every),
        "threads": _threads(ranks),
        "GPU": _gpu(ranks),
    }


def _ranks(
    ranks: list[Placement], nodes: list[list[Placement]], environment: Mapping[str, str]
) -> Finding:
    """Evaluate how many ranks there are, and on which nodes."""
    wrong = launch.problem(len(ranks), environment)
    if wrong:
        return failed(*wrong.split("; ", 1))
    counts = listed(f"{own[0].host} ({len(own)})" for own in nodes)
    text = f"{len(ranks)} on {len(nodes)} {'nodes' if len(nodes) > 1 else 'node'}: {counts}"
    tasks = environment.get("SLURM_NTASKS", "")
    if tasks.isdigit() and int(tasks) != len(ranks):
        advice = "start one rank per task: srun, or mpirun without -n"
        return warning(f"{text}; the Slurm job has {tasks} tasks", advice)
    if len({len(own) for own in nodes}) > 1:
        advice = "give each node as many (--ntasks-per-node), or those with fewer will wait"
        return warning(f"{text}; not the same number on each", advice)
    return ok(text)


def _cores(ranks: list[Placement], nodes: list[list[Placement]]) -> Finding:
    """Evaluate how many cores each rank has of its own, and whether some are left over."""
    for own in nodes:
        host, there = own[0].host, own[0].node_cores
        used = len({core for each in own for core in each.bound})
        text = f"{len(own)} ranks of {host} share {used} of {there} cores"
        if used < len(own) <= there:
            advice = "bound to the same: srun --cpu-bind=cores -c N, or mpirun --bind-to none"
            return warning(f"{text}, while others are idle", advice)
        if used < len(own):
            return warning(text, "start fewer ranks per node, or request more cores")
        if 2 * used <= there:
            return warning(
                f"the ranks of {host} are bound to {used} of its {there} cores",
                "give each rank its part: srun -c N (SRUN_CPUS_PER_TASK), or mpirun --map-by "
                "slot:PE=N",
            )
    counts = sorted({each.cores for each in ranks})
    if len(counts) > 1:
        advice = "give each rank as many: all wait for the slowest"
        return warning(f"from {counts[0]} to {counts[-1]} per rank", advice)
    first = ranks[0]
    is_bound = len(first.bound) <= min(first.cores, first.node_cores - 1)
    return ok(f"{first.cores} per rank, {'bound' if is_bound else 'not bound'}")


def _threads(ranks: list[Placement]) -> Finding:
    """Evaluate the variables that set numbers of threads, and MPI's way of waiting."""
    for rank, each in enumerate(ranks):
        for name in _THREADS:
            value = each.variables.get(name, "")
            if value.isdigit() and int(value) > each.cores:
                return warning(
                    f"{name} is {value} on rank {rank}, which has {each.cores} cores",
                    f"set {name} to the cores of a rank (slurm/train.sbatch does), or unset it",
                )
        if each.cores == 1 and each.variables.get(_YIELD) in ("0", "false"):
            text = f"{_YIELD} is 0, so waiting takes the one core of a rank from computing"
            return warning(text, f"unset {_YIELD}")
    first = ranks[0]
    named = "".join(f"; {n}={first.variables[n]}" for n in _THREADS if n in first.variables)
    return ok(f"TensorFlow gets {first.cores} per rank{named}")


def _gpu(ranks: list[Placement]) -> Finding:
    """Check whether each rank has a GPU of its own."""
    if not any(each.gpus for each in ranks):
        return ok("none: runs on processor cores")
    for rank, each in enumerate(ranks):
        if not each.gpus:
            advice = "request GPUs on every node (--gpus-per-node)"
            return failed(f"rank {rank} on {each.host} has none, others have", advice)
    used: dict[tuple[int, str], int] = {}
    for rank, each in enumerate(ranks):
        gpu = _used_gpu(each)
        if gpu is None:
            text = f"rank {rank} on {each.host} is shown none of {listed(each.gpus)}"
            return warning(text, f"look at {' and '.join(_GPU_VISIBLE[:2])}")
        other = used.setdefault((each.node, gpu), rank)
        if other != rank:
            advice = "start one rank per GPU (--ntasks-per-node as --gpus-per-node)"
            text = f"ranks {other} and {rank} on {each.host} share GPU {gpu}"
            return warning(text, advice)
    return ok(f"one per rank, such as {_used_gpu(ranks[0])}")


def _used_gpu(rank: Placement) -> str | None:
    """Return the GPU that training would use on a rank (``devices.prepare_tensorflow``)."""
    shown = rank.gpus if rank.visible is None else rank.visible
    if not shown:
        return None
    name = shown[rank.node_rank % len(shown)]
    # A number counts the GPUs that may be opened; the job's limits hide the others.
    return rank.gpus[int(name)] if name.isdigit() and int(name) < len(rank.gpus) else name
