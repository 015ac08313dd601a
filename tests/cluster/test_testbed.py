"""The testbed itself: what its hosts share, and what they do not."""

from __future__ import annotations

from pathlib import Path

from testbed import Cluster


def test_hosts_have_names_processes_and_disks_of_their_own(cluster: Cluster) -> None:
    for host in ("node1", "node2"):
        made = cluster.on(host, "touch", f"/dev/shm/of-{host}", f"/local/of-{host}")
        assert made.returncode == 0, made.stderr
    for host in ("node1", "node2"):
        said = cluster.on(host, "sh", "-c", "hostname; ls /dev/shm /local | grep of-").stdout
        assert said.split() == [host, f"of-{host}", f"of-{host}"]
        # The first of its processes is the host's own.
        assert cluster.on(host, "cat", "/proc/1/cmdline").stdout.endswith(f"{host}\0")


def test_ranks_of_srun_meet_over_the_network(cluster: Cluster, tmp_path: Path) -> None:
    code = "from mpi4py import MPI; import socket; w = MPI.COMM_WORLD; "
    code += "hosts = w.allgather(socket.gethostname()); print(hosts) if w.rank == 0 else None"
    words = ["srun", "--mpi=pmix", "-N3", "-n3", "python", "-c", code]
    done = cluster.on("login", *words, place=tmp_path)
    assert done.stdout == "['node1', 'node2', 'node3']\n", done.stderr
