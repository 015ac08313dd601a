"""What the ranks' exchange is like: an all-reduce checked and timed, the links, the clocks."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpcgan.deadline import Deadline
from hpcgan.doctor.findings import Finding, failed, listed, ok, warning
from hpcgan.world import World

# Below these a network, or the memory of one node, is not what it should be.
LINK = 125e6  # bytes a second between two nodes: 1 Gbit/s
MEMORY = 250e6  # bytes a second of an all-reduce inside a node
LATENCY = 1e-3  # seconds of an all-reduce of one number
SKEW = 1.0  # seconds between two clocks

_LARGE = 2**20  # float32: 4 MiB, the gradients of a DCGAN
_SMALL_TURNS, _LARGE_TURNS = 30, 3
_LINK_TURNS = 2
_PERIOD = 13  # of the numbers that are added: prime, so that no part can stand for another


@dataclass(frozen=True)
class Link:
    """A link between the first ranks of two nodes.

    Attributes:
        hosts: the two nodes, as "node1 - node2".
        bytes_per_second: in each direction, while both are used; 0 if nothing came in time.
    """

    hosts: str
    bytes_per_second: float


@dataclass(frozen=True)
class Network:
    """What a rank saw of the exchange.

    Attributes:
        host: the rank's node.
        is_right: whether all sums were what they must be.
        latency: seconds of an all-reduce of one number, the median.
        seconds: of an all-reduce of ``sent`` bytes, the median.
        sent: bytes.
        clock: seconds since 1970 at the end of one all-reduce.
        links: that this rank measured.
    """

    host: str
    is_right: bool
    latency: float
    seconds: float
    sent: int
    clock: float
    links: list[Link]


class Late(Exception):
    """An all-reduce did not end in time."""


def gather(
    world: World, ranks: Deadline, nodes: list[tuple[int, str]], seconds: float, tag: int
) -> Network:
    """Exchange with the other ranks and return what this one saw. All ranks should call it.

    Args:
        world: the ranks.
        ranks: their exchanges.
        nodes: the first rank and the name of each node.
        seconds: that all of it may take.
        tag: of the exchanges over the links.

    Raises:
        Late: an all-reduce did not end in time.
    """
    end = time.monotonic() + seconds
    small, large = summand(1, world.rank), summand(_LARGE, world.rank)
    latency, clock, right = _timed_sums(world.size, ranks, small, _SMALL_TURNS, end)
    took, _, still_right = _timed_sums(world.size, ranks, large, _LARGE_TURNS, end)
    links = _links(world, ranks, nodes, end, tag) if len(nodes) > 1 else []
    return Network(world.host, right and still_right, latency, took, large.nbytes, clock, links)


def read(sent: dict[str, Any]) -> Network:
    """Return the facts that a rank sent as JSON."""
    return Network(**{**sent, "links": [Link(**each) for each in sent["links"]]})


def _timed_sums(
    size: int, ranks: Deadline, array: np.ndarray, turns: int, end: float
) -> tuple[float, float, bool]:
    """Return seconds of an all-reduce (median), the time at one's end, whether all were right."""
    times, clock, is_right = [], 0.0, True
    for turn in range(turns + 1):
        began = time.perf_counter()
        total = ranks.sum(array, end - time.monotonic())
        took = time.perf_counter() - began
        if total is None:
            raise Late
        if turn:  # the first one connects
            times.append(took)
        clock = time.time()
        is_right = is_right and _is_right(total, size)
    return statistics.median(times), clock, is_right


def summand(length: int, rank: int) -> np.ndarray:
    """Return what a rank adds, (length,) float32: small whole numbers, whose sums are exact."""
    return np.resize(np.arange(1, _PERIOD + 1, dtype=np.float32), length) * (1 + rank % _PERIOD)


def _is_right(total: np.ndarray, size: int) -> bool:
    """Return whether a sum over all ranks is what it must be."""
    factors = sum(1 + rank % _PERIOD for rank in range(size))
    return bool(np.array_equal(total, summand(total.size, 0) * np.float32(factors)))


def _links(
    world: World, ranks: Deadline, nodes: list[tuple[int, str]], end: float, tag: int
) -> list[Link]:
    """Measure this rank's links to the next nodes: in pairs, first those that begin even.

    The last node has no link to the first: that would be a third turn, of a way that others share.
    """
    place = next((number for number, (rank, _) in enumerate(nodes) if rank == world.rank), None)
    if place is None:
        return []
    links = []
    for turn in (0, 1):
        is_lower = place % 2 == turn
        other = place + 1 if is_lower else place - 1
        if not 0 <= other < len(nodes):
            continue
        speed = _speed(ranks, nodes[other][0], end, tag)
        if is_lower:
            links.append(Link(f"{nodes[place][1]} - {nodes[other][1]}", speed))
    return links


def _speed(ranks: Deadline, other: int, end: float, tag: int) -> float:
    """Return bytes a second, each way, between this rank and another; 0 if it takes too long."""
    array = np.zeros(_LARGE, np.float32)
    speed = 0.0
    for _ in range(_LINK_TURNS):
        began = time.perf_counter()
        if not ranks.swap(array, other, max(0.0, end - time.monotonic()), tag):
            return 0.0
        speed = max(speed, array.nbytes / (time.perf_counter() - began))
    return speed


def judge(ranks: list[Network], nodes: int) -> list[Finding]:
    """Return the findings.

    Args:
        ranks: the facts of all ranks, at least two.
        nodes: on how many nodes they are.
    """
    links = [link for each in ranks for link in each.links]
    return [_sums(ranks, nodes), *([_slow_links(links)] if links else []), _clocks(ranks)]


def _sums(ranks: list[Network], nodes: int) -> Finding:
    """Judge the all-reduce."""
    wrong = [rank for rank, each in enumerate(ranks) if not each.is_right]
    if wrong:
        return failed(
            "all-reduce",
            f"gives wrong sums on rank {wrong[0]} on {ranks[wrong[0]].host} "
            f"({len(wrong)} of {len(ranks)} ranks)",
            "do not train here: another MPI, or another transport (OMPI_MCA_pml, OMPI_MCA_btl)",
        )
    latency = max(each.latency for each in ranks)
    seconds = max(each.seconds for each in ranks)
    # What each rank sends and takes in a ring: the figure that compares with the link's.
    speed = 2 * (len(ranks) - 1) / len(ranks) * ranks[0].sent / seconds
    text = (
        f"right; {latency * 1e6:.0f} us for one number, {seconds * 1e3:.2f} ms for "
        f"{ranks[0].sent / 2**20:.0f} MiB ({_rate(speed)} a rank)"
    )
    figures = {
        "latency_seconds": latency,
        "seconds": seconds,
        "bytes": float(ranks[0].sent),
        "bytes_per_second": speed,
    }
    if latency > LATENCY:
        advice = "ranks that share cores, or a network that is slow or not the one that is meant"
        text += f"; one number should take less than {LATENCY * 1e6:.0f} us"
        return warning("all-reduce", text, f"look for {advice}", **figures)
    if nodes == 1 and speed < MEMORY:
        text += f"; inside a node it should be {_rate(MEMORY)}"
        return warning("all-reduce", text, "look for ranks that share cores", **figures)
    return ok("all-reduce", text, **figures)


def _slow_links(links: list[Link]) -> Finding:
    """Judge the links between nodes."""
    slowest = min(links, key=lambda link: link.bytes_per_second)
    slow = [link for link in links if link.bytes_per_second < LINK]
    figures = {"slowest_bytes_per_second": slowest.bytes_per_second}
    if slowest.bytes_per_second == 0:
        return failed(
            "links",
            f"{slowest.hosts}: nothing comes through in time",
            "leave out one of the nodes (--exclude), and tell who runs the cluster",
            **figures,
        )
    if slow:
        each = listed(f"{link.hosts} {_rate(link.bytes_per_second)}" for link in slow)
        return warning(
            "links",
            f"{len(slow)} of {len(links)} below the expected {_rate(LINK)}: {each}",
            "choose the fast network (OMPI_MCA_btl_tcp_if_include, UCX_NET_DEVICES), leave out "
            "the node (--exclude), or train with parallel.compression",
            **figures,
        )
    return ok(
        "links",
        f"{len(links)} between neighbouring nodes, the slowest {slowest.hosts} with "
        f"{_rate(slowest.bytes_per_second)} each way",
        **figures,
    )


def _clocks(ranks: list[Network]) -> Finding:
    """Judge the clocks, read when an all-reduce ended."""
    middle = statistics.median(each.clock for each in ranks)
    furthest = max(ranks, key=lambda each: abs(each.clock - middle))
    skew = max(each.clock for each in ranks) - min(each.clock for each in ranks)
    if skew > SKEW:
        return warning(
            "clocks",
            f"differ by {skew:.1f} s; that of {furthest.host} is off by "
            f"{furthest.clock - middle:+.1f} s",
            "have the nodes' clocks set (chrony, ntp): times of files and logs will not fit",
            skew_seconds=skew,
        )
    return ok("clocks", f"agree within {skew * 1e3:.1f} ms", skew_seconds=skew)


def _rate(bytes_per_second: float) -> str:
    """Return bytes a second as people say it of networks."""
    bits = 8 * bytes_per_second
    return f"{bits / 1e9:.3g} Gbit/s" if bits >= 1e9 else f"{bits / 1e6:.3g} Mbit/s"
