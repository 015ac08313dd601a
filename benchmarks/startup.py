"""Seconds from the start of a process to the first step on 2 ranks, beside TensorFlow's own import.

    python -m benchmarks.startup [PRESET]

The two are started in turn. What counts as ours is all between the import and the first step: the
checks of the configuration and the data, the networks, the compiled update, the ring and the
checkpoint of step 0.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.measure import MPIRUN, environment, run

REPEATS = 5
WANTED = 2.0  # seconds that ours may add

_IMPORT = "import keras, tensorflow as tf; tf.constant(0)"
_RANKS = [MPIRUN, "-n", "2", "--bind-to", "core"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset", nargs="?", default="digits", metavar="PRESET")
    preset = parser.parse_args().preset
    imports, ours, totals = [], [], []
    with tempfile.TemporaryDirectory(prefix="startup-") as name:
        place = Path(name)
        run([sys.executable, "-m", "data_tools", "digits", str(place / "digits.h5")])
        for _ in range(REPEATS):
            imports.append(to_import())
            totals.append(to_first_step(place, preset))
            ours.append(totals[-1] - imports[-1])
    print(f"{preset}, 2 ranks, medians of {REPEATS} starts of each")
    print(f"  TensorFlow's and Keras' import: {median(imports):6.2f} s")
    print(f"  to the end of the first step:   {median(totals):6.2f} s")
    print(f"  what ours adds:                 {median(ours):6.2f} s  (wanted: below {WANTED:g})")


def to_import() -> float:
    """Return the seconds in which two ranks import TensorFlow and Keras."""
    began = time.perf_counter()
    run([*_RANKS, sys.executable, "-c", _IMPORT])
    return time.perf_counter() - began


def to_first_step(place: Path, preset: str) -> float:
    """Return the seconds after which a new run has made a step and written its line."""
    words = ["train", preset, "--data.files=[digits.h5]", "--log.every_steps=1", "--run-dir", "run"]
    line = [*_RANKS, sys.executable, "-m", "hpcgan", *words, "--resume", "never"]
    metrics = place / "run" / "metrics.jsonl"
    metrics.unlink(missing_ok=True)
    began = time.perf_counter()
    process = subprocess.Popen(line, cwd=place, env=environment(), stdout=subprocess.DEVNULL)
    try:
        while not _has_line(metrics):
            if process.poll() is not None:
                sys.exit("the run ended before its first step")
            time.sleep(0.01)
        return time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


def _has_line(metrics: Path) -> bool:
    """Return whether the log has the line of a step."""
    text = metrics.read_text(encoding="utf-8") if metrics.exists() else ""
    return text.endswith("\n") and json.loads(text.splitlines()[0])["step"] >= 1


if __name__ == "__main__":
    main()
