"""The process that says which rank never came, while the others wait inside MPI's start.

    python -m hpcgan.doctor.sentry SECONDS PLACE NUMBER@HOST SIZE text|json

It ends without a word when its stdin does: MPI has started, or the rank is gone. And when another
one has spoken: that deletes PLACE, where all have left a file.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from hpcgan.doctor.findings import Finding, as_json, as_text, failed, listed


def main(words: list[str]) -> None:
    """Wait, and speak if need be and if no lower rank will."""
    seconds, place, own, size = float(words[0]), Path(words[1]), words[2], int(words[3])
    is_seen = (place / own).exists()
    if select.select([0], [], [], seconds)[0] or is_seen > (place / own).exists():
        return
    arrived = present(place, own)
    if min(arrived) != int(own.split("@")[0]):
        return
    shown = as_json if words[4] == "json" else as_text
    sys.stdout.write(shown([judge(arrived, size, seconds)]) + "\n")
    sys.stdout.flush()
    shutil.rmtree(place, ignore_errors=True)
    end_step(os.environ)


def present(place: Path, own: str) -> dict[int, str]:
    """Return the hosts of the ranks that have come, by number: at least this one."""
    names = [own]
    with suppress(OSError):
        names += [each.name for each in place.iterdir()]
    return {int(number): host for number, host in (name.split("@", 1) for name in names)}


def judge(arrived: dict[int, str], size: int, seconds: float) -> Finding:
    """Return what is wrong when MPI does not start.

    Args:
        arrived: the hosts of the ranks that wait, by number.
        size: the ranks that were started.
        seconds: for which they waited.
    """
    missing = [rank for rank in range(size) if rank not in arrived]
    hosts = dict.fromkeys(arrived.values())
    if missing:
        what = (
            f"{'ranks' if len(missing) > 1 else 'rank'} {listed(missing)} of {size} did not come "
            f"within {seconds:g} s; those on {listed(hosts)} wait in MPI's start"
        )
        advice = (
            "look at the node where the launcher put it: a file system that hangs, a process that "
            "is stopped, an environment that is missing there; --timeout gives more time"
        )
        if len(hosts) == 1:
            advice += (
                ". If the nodes do not share this directory, each tells of its own ranks alone"
            )
    else:
        what = f"all {size} ranks came, but MPI did not start between them within {seconds:g} s"
        advice = (
            "MPI does not get through between the nodes: a firewall, or an interface that leads "
            "nowhere; try OMPI_MCA_btl_tcp_if_include with the one that connects them"
        )
    return failed("ranks", what, advice)


def end_step(environment: Mapping[str, str]) -> None:
    """Have Slurm end this step: srun would wait for the task that never came."""
    if environment.get("PMIX_NAMESPACE", "").startswith("slurm") and shutil.which("scancel"):
        step = f"{environment['SLURM_JOB_ID']}.{environment['SLURM_STEP_ID']}"
        # Without --signal, which scancel itself would send node after node: it dies on the way.
        subprocess.run(["scancel", step], check=False)


if __name__ == "__main__":
    main(sys.argv[1:])
