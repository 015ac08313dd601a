"""The doctor, of which one rank does not come: ``python -m tests.stopped_doctor RANK:WHERE ...``

WHERE is never (to MPI's start), begin, node (while it looks at its node) or exchange. The words
that follow are hpcgan's.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from hpcgan import cli
from hpcgan.doctor import network, storage
from hpcgan.world import World


def _stop(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def main() -> int:
    """Run the command."""
    rank, where = sys.argv.pop(1).split(":")
    if os.environ["PMIX_RANK"] == rank:
        if where == "never":
            time.sleep(600)
        place, name = {
            "begin": (World, "with_deadline"),
            "node": (storage, "gather"),
            "exchange": (network, "gather"),
        }[where]
        setattr(place, name, _stop)
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
