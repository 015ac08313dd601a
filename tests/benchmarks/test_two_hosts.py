"""Two hosts on this machine and the link between them. As root, which the namespaces need."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import two_hosts
from benchmarks.two_hosts import Cable, Host

root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")

# Sends back all that comes, 8 MB, once it has come.
ECHO = """
import socket
with socket.create_server(("", 5000)) as server:
    print("ready", flush=True)
    peer, _ = server.accept()
    content = peer.makefile("rb").read(8_000_000)
    peer.sendall(content)
"""
# Sends random bytes and looks whether they come back; prints the seconds of the connection.
SEND = """
import os, socket, sys, time
began = time.monotonic()
with socket.create_connection((sys.argv[1], 5000), timeout=30) as peer:
    print(time.monotonic() - began)
    content = os.urandom(8_000_000)
    peer.sendall(content)
    assert peer.makefile("rb").read(8_000_000) == content
"""


@pytest.fixture(scope="module")
def hosts() -> Iterator[tuple[Host, Host]]:
    """Return two hosts."""
    with two_hosts.two_hosts() as made:
        yield made


def on(host: Host, *words: str) -> str:
    """Run a command on a host and return what it prints."""
    return subprocess.run(
        [*host.inside, *words], stdout=subprocess.PIPE, text=True, timeout=60, check=True
    ).stdout


def across(hosts: tuple[Host, Host]) -> float:
    """Send bytes over the link and back; return the seconds in which they connected."""
    left, right = hosts
    server = subprocess.Popen(
        [*right.inside, sys.executable, "-c", ECHO], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        return float(on(left, sys.executable, "-c", SEND, right.address))
    finally:
        server.kill()
        server.communicate()


@root
def test_hosts_have_names_and_shared_memory_of_their_own(hosts: tuple[Host, Host]) -> None:
    assert [on(host, "hostname").strip() for host in hosts] == ["left", "right"]
    on(hosts[0], "touch", "/dev/shm/hpcgan-of-left")
    assert on(hosts[0], "ls", "/dev/shm") == "hpcgan-of-left\n"
    assert on(hosts[1], "ls", "/dev/shm") == ""
    assert not Path("/dev/shm/hpcgan-of-left").exists()


@root
def test_a_link_has_its_rate(hosts: tuple[Host, Host]) -> None:
    with two_hosts.link(hosts, Cable("slow", bits=200e6)):
        for host in hosts:
            assert "tbf" in (found := on(host, "tc", "qdisc", "show", "dev", "eth0"))
            assert "rate 200Mbit" in found
        across(hosts)


@root
def test_a_link_has_its_delay(hosts: tuple[Host, Host]) -> None:
    with two_hosts.link(hosts, Cable("far", delay=0.02)):
        assert across(hosts) >= 0.04  # there and back: no less, however busy the machine is


@root
def test_links_and_hosts_go_after_use() -> None:
    with two_hosts.two_hosts() as hosts:
        for delay in (0.001, 0.0):
            with two_hosts.link(hosts, Cable("any", delay=delay)):
                assert "eth0" in on(hosts[1], "ip", "link")
            assert "eth0" not in on(hosts[1], "ip", "link")
    assert not any(Path(f"/proc/{host.pid}").exists() for host in hosts)


def test_tcp_gets_what_headers_leave() -> None:
    assert Cable("1 Gbit/s", bits=1e9).bytes == pytest.approx(119.55e6, rel=1e-4)
    assert Cable("no limit").bytes is None


def test_ranks_are_bound_to_a_core_each(tmp_path: Path) -> None:
    hosts = (Host("left", "10.0.0.1", 11), Host("right", "10.0.0.2", 12))
    words = two_hosts.mpirun(hosts, "mpirun", tmp_path / "agent", ["program", "word"])
    line = " ".join(words)
    assert "nsenter -t 11 -n -u -m mpirun " in line
    assert "--bind-to none --host 10.0.0.1:1,10.0.0.2:1 " in line
    assert "-n 1 --host 10.0.0.1:1 taskset -c 0 program word : " in line
    assert line.endswith("-n 1 --host 10.0.0.2:1 taskset -c 1 program word")
    assert "nsenter -t 12 -n -u -m" in (tmp_path / "agent").read_text()
