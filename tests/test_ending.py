"""How a process ends that waits for something which never comes."""

from __future__ import annotations

import time


def test_the_last_resort_ends_whatever_waits(python):
    program = "import time; from hpcgan.ending import last_resort\n"
    program += "with last_resort(0.5): time.sleep(60)\n"
    began = time.monotonic()
    done = python("-c", program)
    assert (done.returncode, done.stderr) == (1, "")
    assert time.monotonic() - began < 50
