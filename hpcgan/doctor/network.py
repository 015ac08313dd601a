"""How the ranks exchange data: an all-reduce checked and timed, the links, the clocks."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from hpcgan.deadline import Deadline
from hpcgan.doctor.findings import Finding, Findings, failed, listed, ok, warning
from hpcgan.world import World

# Below these a network, or the memory of one node, is not what it should be.
LINK = 125e6  # bytes per second between two nodes: 1 Gbit/s
MEMORY = 250e6  # bytes per second of an all-reduce inside a node
LATENCY = 1e-3  # seconds of an all-reduce of one number
SKEW = 1.0  # seconds between two clocks

_LARGE = 2**20  # float32: 4 MiB, the gradients of a DCGAN
_BYTES = 4 * _LARGE
_SMALL_TURNS, _LARGE_TURNS, _LINK_TURNS = 30, 3, 2
_PERIOD = 13  # of the numbers that are added: prime, so that no part can stand for another

Sums = Literal["right", "wrong", "late"]


@dataclass(frozen=True)
class Network:
    """What a rank saw of the exchange.

    Attributes:
        host: the rank's node.
        sums: what the all-reduces gave; "late" if one of them did not end in time.
        latency: seconds of an all-reduce of one number, the median.
        seconds: of an all-reduce of 4 MiB, the median.
        clock: seconds since 1970 at the end of one all-reduce.
        links: bytes per second in each direction, while both are used, of the links that this rank
            measured, by their hosts as "node1 - node2"; 0 if nothing came in time.
    """

    host: str
    sums: Sums
    latency: float = 0.0
    seconds: float = 0.0
    clock: float = 0.0
    links: dict[str, float] = field(default_factory=dict)


def gather(world: World, ranks: Deadline, seconds: float, tag: int) -> Network:
    """Exchange with the other ranks and return what this one saw. All ranks should call it.

    All of it may take ``seconds``; ``tag`` is of the exchanges over the links.
    """
    end = time.monotonic() + seconds
    sums: Sums = "right"
    medians = []
    for length, turns in ((1, _SMALL_TURNS), (_LARGE, _LARGE_TURNS)):
        own, times = summand(length, world.rank), []
        expected = summand(length, 0) * sum(1 + rank % _PERIOD for rank in range(world.size))
        for _ in range(turns + 1):
            began = time.perf_counter()
            total = ranks.sum(own, end - time.monotonic())
            times.append(time.perf_counter() - began)
            clock = time.time()
            if total is None:  # others may still be in it: no further one would fit
                return Network(world.host, "late")
            if not np.array_equal(total, expected):
                sums = "wrong"
        medians.append(statistics.median(times[1:]))  # the first one connects
    latency, took = medians
    return Network(world.host, sums, latency, took, clock, _links(world, ranks, end, tag))


def summand(length: int, rank: int) -> np.ndarray:
    """Return what a rank adds, (length,) float32: small whole numbers, whose sums are exact."""
    return np.resize(np.arange(1, _PERIOD + 1, dtype=np.float32), length) * (1 + rank % _PERIOD)


def _links(world: World, ranks: Deadline, end: float, tag: int) -> dict[str, float]:
    """Measure links between the first ranks of neighbouring nodes: in pairs, even ones first.

    The last node has no link to the first: that would be a third turn, of a way that others share.
    """
    hosts = list(dict.fromkeys(world.hosts))
    node = hosts.index(world.host)
    links: dict[str, float] = {}
    if world.node_rank:
        return links
    for turn in (0, 1):
        is_lower = node % 2 == turn
        other = node + 1 if is_lower else node - 1
        if 0 <= other < len(hosts):
            speed = _speed(ranks, world.hosts.index(hosts[other]), end, tag)
            if is_lower:
                links[f"{world.host} - {hosts[other]}"] = speed
    return links


def _speed(ranks: Deadline, other: int, end: float, tag: int) -> float:
    """Return bytes per second, each way, to another rank and back; 0 if it takes too long."""
    array = np.zeros(_LARGE, np.float32)
    speed = 0.0
    for _ in range(_LINK_TURNS):
        began = time.perf_counter()
        if not ranks.swap(array, other, max(0.0, end - time.monotonic()), tag):
            return 0.0
        speed = max(speed, array.nbytes / (time.perf_counter() - began))
    return speed


def evaluate(ranks: list[Network], nodes: int) -> Findings:
    """Evaluate the facts of all ranks, at least two, which are on a number of nodes."""
    late = [rank for rank, each in enumerate(ranks) if each.sums == "late"]
    if late:
        text = f"did not end in time on rank {late[0]} on {ranks[late[0]].host}"
        advice = "MPI does not get through between some nodes: try OMPI_MCA_pml=ob1 "
        advice += "OMPI_MCA_btl=tcp,self,sm, and OMPI_MCA_btl_tcp_if_include"
        return {"all-reduce": failed(f"{text}, though all ranks are there", advice)}
    links = {hosts: speed for each in ranks for hosts, speed in each.links.items()}
    findings = {"all-reduce": _sums(ranks, nodes)}
    if links:
        findings["links"] = _slow_links(links)
    return findings | {"clocks": _clocks(ranks)}


def _sums(ranks: list[Network], nodes: int) -> Finding:
    """Evaluate the all-reduce."""
    wrong = [rank for rank, each in enumerate(ranks) if each.sums == "wrong"]
    if wrong:
        return failed(
            f"gives wrong sums on rank {wrong[0]} on {ranks[wrong[0]].host} "
            f"({len(wrong)} of {len(ranks)} ranks)",
            "do not train here: another MPI, or another transport (OMPI_MCA_pml, OMPI_MCA_btl)",
        )
    latency = max(each.latency for each in ranks)
    seconds = max(each.seconds for each in ranks)
    # What each rank sends and takes in a ring: the figure that compares with the link's.
    speed = 2 * (len(ranks) - 1) / len(ranks) * _BYTES / seconds
    text = (
        f"right; {latency * 1e6:.0f} us for one number, {seconds * 1e3:.2f} ms for 4 MiB "
        f"({_rate(speed)} per rank)"
    )
    advice = ""
    if latency > LATENCY:
        text += f"; one number should take less than {LATENCY * 1e6:.0f} us"
        advice = "look for ranks that share cores, or a network that is slow or not the one meant"
    elif nodes == 1 and speed < MEMORY:
        text += f"; inside a node it should be {_rate(MEMORY)}"
        advice = "look for ranks that share cores"
    figures = {
        "latency_seconds": latency,
        "seconds": seconds,
        "bytes": float(_BYTES),
        "bytes_per_second": speed,
    }
    return Finding("warning" if advice else "ok", text, advice, figures)


def _slow_links(links: dict[str, float]) -> Finding:
    """Evaluate the links between nodes."""
    slowest, speed = min(links.items(), key=lambda link: link[1])
    if speed == 0:
        return failed(
            f"{slowest}: nothing comes through in time",
            "leave out one of the nodes (--exclude), and report it to those who run the cluster",
            slowest_bytes_per_second=speed,
        )
    if speed < LINK:
        slow = [f"{hosts} {_rate(each)}" for hosts, each in links.items() if each < LINK]
        return warning(
            f"{len(slow)} of {len(links)} below the expected {_rate(LINK)}: {listed(slow)}",
            "choose the fast network (OMPI_MCA_btl_tcp_if_include, UCX_NET_DEVICES), leave out "
            "the node (--exclude), or train with parallel.compression",
            slowest_bytes_per_second=speed,
        )
    text = f"{len(links)} between neighbouring nodes, the slowest {slowest} with {_rate(speed)}"
    return ok(f"{text} each way", slowest_bytes_per_second=speed)


def _clocks(ranks: list[Network]) -> Finding:
    """Evaluate the clocks, read when an all-reduce ended."""
    middle = statistics.median(each.clock for each in ranks)
    furthest = max(ranks, key=lambda each: abs(each.clock - middle))
    skew = max(each.clock for each in ranks) - min(each.clock for each in ranks)
    if skew > SKEW:
        return warning(
            f"differ by {skew:.1f} s; that of {furthest.host} is off by "
            f"{furthest.clock - middle:+.1f} s",
            "have the nodes' clocks set (chrony, ntp): times of files and logs will not fit",
            skew_seconds=skew,
        )
    return ok(f"agree within {skew * 1e3:.1f} ms", skew_seconds=skew)


def _rate(bytes_per_second: float) -> str:
    """Return bytes per second as a network's bits per second."""
    bits = 8 * bytes_per_second
    return f"{bits / 1e9:.3g} Gbit/s" if bits >= 1e9 else f"{bits / 1e6:.3g} Mbit/s"
