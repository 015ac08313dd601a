"""Our steps per second against ranks that never talk, a naive script and PyTorch, in one run.

    python -m benchmarks.speed [--models dcgan mlp] [--repeats N] [--torch DIR]

Each contestant is started in turn, several times over; medians are compared. Starts of the naive
script differ by a third: its ratio needs more repeats than the others. PyTorch runs in an
environment of its own, which is made in DIR (default: benchmarks/.torch) when it is not there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from statistics import median

from benchmarks.measure import MPIRUN, ROOT, run

REPEATS = 5
SECONDS = 5.0
TORCH = "torch==2.13.0"

# model: what we want of ours against the limit, the naive script and PyTorch; and on one rank
# against a loop written by hand.
BARS = {
    "dcgan": {"never talking": 0.97, "naive Horovod": 1.5, "PyTorch DDP": 1.4, "by hand": 1.0},
    "mlp": {"never talking": 0.75, "naive Horovod": 2.5, "PyTorch DDP": 3.0, "by hand": 1.25},
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch", type=Path, default=ROOT / "benchmarks" / ".torch", metavar="DIR")
    parser.add_argument("--models", nargs="*", default=list(BARS), choices=list(BARS))
    parser.add_argument("--repeats", type=int, default=REPEATS, metavar="N")
    given = parser.parse_args()
    torchrun = prepare_torch(given.torch)
    for model in given.models:
        rates = measure(model, torchrun, given.repeats)
        print(
            f"{model}, 28x28, batch 64 per rank; {given.repeats} starts of each, steps/s",
            flush=True,
        )
        for name, each in rates.items():
            print(f"  {name:<24}{median(each):>9.2f}  ({min(each):.2f} to {max(each):.2f})")
        found = {name: median(each) for name, each in rates.items()}
        for name, bar in BARS[model].items():
            ours = found["ours, 1 rank" if name == "by hand" else "ours"]
            other = found["by hand, 1 rank" if name == "by hand" else name]
            print(f"  ours / {name:<17}{ours / other:>9.3f}  (wanted: {bar})", flush=True)


def measure(model: str, torchrun: str, repeats: int) -> dict[str, list[float]]:
    """Return steps per second of each contestant, for each of its starts."""
    ours = [sys.executable, "-m", "benchmarks.contestants.ours"]
    plain = [sys.executable, "-m", "benchmarks.contestants.plain_tensorflow"]
    ranks = [MPIRUN, "-n", "2", "--bind-to", "core"]
    torch = [torchrun, "--nproc-per-node", "2", "benchmarks/contestants/torch_ddp.py"]
    contestants = {
        ("ours", "never talking"): [*ranks, *ours],
        ("naive Horovod",): [*ranks, *plain],
        ("PyTorch DDP",): torch,
        ("ours, 1 rank", ""): [MPIRUN, "-n", "1", "--bind-to", "core", *ours],
        ("by hand, 1 rank",): [MPIRUN, "-n", "1", "--bind-to", "core", *plain],
    }
    found: dict[str, list[float]] = {}
    for _ in range(repeats):
        for names, command in contestants.items():
            printed = run([*command, model, str(SECONDS)]).replace("\0", "")
            last = printed.split("\n")[-2].split()
            for name, rate in zip(names, map(float, last), strict=True):
                found.setdefault(name, []).append(rate)
    found.pop("")
    return found


def prepare_torch(directory: Path) -> str:
    """Return PyTorch's launcher, installed if it is not there."""
    torchrun = directory / "bin" / "torchrun"
    if not torchrun.exists():
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        subprocess.run([directory / "bin" / "pip", "install", "-q", TORCH, "numpy"], check=True)
    return str(torchrun)


if __name__ == "__main__":
    main()
