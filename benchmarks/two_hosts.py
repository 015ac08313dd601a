"""Two hosts on this machine, with a link of a chosen rate and delay between them. Needs root.

A host is a network, host name and mount namespace with its own address and /dev/shm; all other
files are shared, as on a cluster. A process of each host holds its namespaces, and they go when it
ends, which it does with this process, however that ends.

The link is a pair of virtual Ethernet devices. Its rate is kept by the kernel's token bucket
(``tc``, tbf) at both ends. The kernel's delaying queue (netem) is missing in many containers and
small virtual machines, so a link with a delay goes through a third namespace, in which
``benchmarks.wire`` passes each frame on when its time has come.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

_ADDRESSES = ("10.78.0.1", "10.78.0.2")
_NAMES = ("left", "right")
# Told to end when this process has ended, however it did.
_TIED = ("setpriv", "--pdeathsig", "TERM")
# A frame of 1500 bytes goes with 38 bytes of Ethernet's own: preamble, header, checksum and gap;
# the token bucket counts the header's 14 alone. 1448 of the 1500 are data of TCP.
_PAYLOAD = 1448 / 1514
# What every kernel has. BBR, which some machines prefer, slows down now and then to learn the rate.
_CONGESTION = "reno"
_PROGRAMS = ("ip", "tc", "unshare", "nsenter", "setpriv", "taskset")


@dataclass(frozen=True)
class Cable:
    """A link between the hosts.

    Attributes:
        name: for people.
        bits: a second, in each direction; None for as many as the machine moves.
        delay: seconds one way.
    """

    name: str
    bits: float | None = None
    delay: float = 0.0

    @property
    def bytes(self) -> float | None:
        """Bytes of data per second that TCP gets through it."""
        return None if self.bits is None else self.bits / 8 * _PAYLOAD


def missing_programs() -> list[str]:
    """Return the programs that are needed and not installed."""
    return [name for name in _PROGRAMS if not shutil.which(name)]


@dataclass(frozen=True)
class Host:
    """A running host.

    Attributes:
        name: its host name.
        address: on the link.
        pid: of the process that holds its namespaces.
    """

    name: str
    address: str
    pid: int

    @property
    def inside(self) -> list[str]:
        """The words before a command that runs it there."""
        return ["nsenter", "-t", str(self.pid), "-n", "-u", "-m"]


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Start both hosts, without a link; end them after use."""
    with ExitStack() as stack:
        left, right = (
            Host(name, address, stack.enter_context(_namespaces(name)))
            for name, address in zip(_NAMES, _ADDRESSES, strict=True)
        )
        yield left, right


@contextmanager
def link(hosts: Sequence[Host], cable: Cable) -> Iterator[None]:
    """Join the hosts by a link; take it away after use."""
    left, right = hosts
    with ExitStack() as stack:
        for host in hosts:  # after the wire has ended; one may take the other with it
            stack.callback(_delete, host)
        ends = ["eth0", "netns", str(left.pid)], ["eth0", "netns", str(right.pid)]
        if cable.delay:
            middle = stack.enter_context(_namespaces("wire"))
            for end, port in zip(ends, ("port0", "port1"), strict=True):
                _run(
                    "ip", "link", "add", *end, "type", "veth", "peer", "name", port, "netns", middle
                )
                _run("nsenter", "-t", middle, "-n", "ip", "link", "set", port, "up")
            stack.enter_context(_wire(middle, cable.delay))
        else:
            _run("ip", "link", "add", *ends[0], "type", "veth", "peer", "name", *ends[1])
        for host in hosts:
            _run(*host.inside, "ip", "address", "add", f"{host.address}/24", "dev", "eth0")
            _run(*host.inside, "ip", "link", "set", "eth0", "up")
            if cable.bits:
                bucket = ["rate", f"{cable.bits:.0f}bit", "burst", "64kb", "latency", "50ms"]
                _run(*host.inside, "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", *bucket)
        yield


def mpirun(hosts: Sequence[Host], launcher: str, agent: Path, program: Sequence[str]) -> list[str]:
    """Return the command line that runs a program on both hosts, one rank and one core each.

    Args:
        hosts: both.
        launcher: mpirun.
        agent: a file that is written here: what mpirun calls for ssh.
        program: its words; paths must be absolute.
    """
    left, right = hosts
    enter = " ".join(right.inside)
    agent.write_text(
        f'#!/bin/sh\n# Called with a host and a command.\nshift\nexec {enter} sh -c "$*"\n',
        encoding="utf-8",
    )
    agent.chmod(0o755)
    line = [*_TIED, *left.inside, launcher, "--prtemca", "plm_ssh_agent", str(agent)]
    line += ["--bind-to", "none", "--host", ",".join(f"{host.address}:1" for host in hosts)]
    for core, host in enumerate(hosts):
        line += [":"] * (core > 0)
        line += ["-n", "1", "--host", f"{host.address}:1", "taskset", "-c", str(core), *program]
    return line


@contextmanager
def _namespaces(name: str) -> Iterator[int]:
    """Start a process in namespaces of its own and return its id; end it after use."""
    inside = (
        f"hostname {name} && mount -t tmpfs shm /dev/shm && ip link set lo up && "
        f"echo {_CONGESTION} >/proc/sys/net/ipv4/tcp_congestion_control && "
        "echo ready && exec sleep infinity"
    )
    unshare = ["unshare", "--net", "--uts", "--mount", "--propagation", "private"]
    with _started([*_TIED, *unshare, "sh", "-c", inside]) as pid:
        yield pid


@contextmanager
def _wire(middle: int, delay: float) -> Iterator[None]:
    """Pass frames on between the ports of a namespace."""
    program = [sys.executable, str(Path(__file__).with_name("wire.py")), str(delay)]
    with _started([*_TIED, "nsenter", "-t", str(middle), "-n", *program, "port0", "port1"]):
        yield


@contextmanager
def _started(command: Sequence[str]) -> Iterator[int]:
    """Start a program that says "ready", and return its id; end it after use."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", errors="replace")
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{' '.join(command)} did not start; see what it printed")
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _delete(host: Host) -> None:
    command = [*host.inside, "ip", "link", "delete", "eth0"]
    subprocess.run(command, stderr=subprocess.DEVNULL, check=False)


def _run(*words: object) -> None:
    subprocess.run(list(map(str, words)), check=True)
