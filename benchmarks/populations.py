"""What several GANs at once are worth: Fréchet distances after equal work, by five seeds.

    python -m benchmarks.populations

Fashion-MNIST (Debian's package dataset-fashion-mnist) by a DCGAN that is 16 channels wide. Each way
has the work of four members that make as many steps: one run with four shards makes them with a
batch that is four times as large. Of a population that member is taken which is the best by the
judge's data; all distances are to data that neither trained nor judged anything, in 64 principal
components. Two runs go at once, a core each. It prints medians with the seconds that they took, and
ratios to the best of four, paired by seed, with their 95% intervals.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import h5py

from benchmarks.measure import ROOT, environment
from hpcgan.scaling.summary import estimate

FASHION = Path("/usr/share/datasets/fashion-mnist")
MEMBERS, SEEDS, STEPS, EVERY, AT_ONCE = 4, 5, 1200, 200, 2
PARTS = {"train": range(0, 50_000), "judge": range(50_000, 55_000), "test": range(55_000, 60_000)}

_RATES = ", ".join(
    f"optimizer.{name}.learning_rate: {{log: [{low}, {16 * low}]}}"
    for name, low in (("generator", 5e-5), ("discriminator", 1.5e-4))
)
VARIED = [f"--population.vary={{{_RATES}}}"]
POPULATION = [f"--parallel.population={MEMBERS}"]
ROUNDS = [*POPULATION, f"--tournament.every={EVERY}"]
WAYS = {
    "best of 4": POPULATION,
    "best of 4, rates drawn": [*POPULATION, *VARIED],
    "tournament": ROUNDS,
    "tournament by D": [*ROUNDS, "--tournament.judge=discriminator"],
    "truncation, rates drawn": [
        *ROUNDS,
        *VARIED,
        "--tournament.select=truncation",
        "--tournament.take=both",
    ],
    "one, 4 shards": [f"--data.shards={MEMBERS}"],
    "one, linear rates": [f"--data.shards={MEMBERS}", "--optimizer.scaling=linear"],
}


def main() -> None:
    """Train all runs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="a directory that stays (default: none does)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, ThreadPoolExecutor(AT_ONCE) as pool:
        place = arguments.out or Path(made)
        place.mkdir(parents=True, exist_ok=True)
        _divide_data(place)
        # Seed after seed, so that all ways see the same of what else the machine does.
        tasks = {(way, seed): (place, way, seed) for seed in range(SEEDS) for way in WAYS}
        seconds = dict(
            zip(tasks, pool.map(lambda each: _train(*each), tasks.values()), strict=True)
        )
        distances = _distances(place)
    _tell(seconds, distances)


def _divide_data(place: Path) -> None:
    """Write the parts of the data."""
    whole = place / "fashion.h5"
    convert = [sys.executable, "-m", "data_tools", "convert", str(FASHION), str(whole)]
    if not whole.exists():
        subprocess.run(convert, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    with h5py.File(whole) as file:
        for name, rows in PARTS.items():
            with h5py.File(place / f"{name}.h5", "w") as part:
                part["images"] = file["images"][rows.start : rows.stop]


def _run_dir(place: Path, way: str, seed: int) -> Path:
    return place / f"{way.replace(',', '').replace(' ', '-')}-{seed}"


def _train(place: Path, way: str, seed: int) -> float:
    """Make a run; return its seconds."""
    options = [
        *("train", "fashion", f"--run-dir={_run_dir(place, way, seed)}"),
        *(f"--data.files=[{place / 'train.h5'}]", f"--evaluate.held_out=[{place / 'judge.h5'}]"),
        *("--model.width=16", "--train.batch_size=32", f"--train.steps={STEPS}"),
        *("--evaluate.every_steps=null", f"--seed={100 * seed}", *WAYS[way]),
    ]
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "hpcgan", *options],
        cwd=ROOT,
        env=environment() | {"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1"},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.monotonic() - began


def _distances(place: Path) -> dict[tuple[str, int], float]:
    """Return the distance of each run to the test data, of a population that of its best member."""
    from hpcgan import checkpoint
    from hpcgan.config import DataConfig
    from hpcgan.data.source import open_source
    from hpcgan.evaluation.judging import FrechetJudge
    from hpcgan.gan.state import State
    from hpcgan.world import World

    world = World()
    judges = {}
    for name in ("judge", "test"):
        source = open_source(world, DataConfig([str(place / f"{name}.h5")]))
        judges[name] = FrechetJudge(world, source, len(source))

    def both(run_dir: Path) -> tuple[float, float]:
        found, _ = checkpoint.newest(run_dir / "checkpoints")
        assert found
        state = State(found.config, found.sample_shape)
        checkpoint.restore(world, state, found)
        scores = [judges[name].score(state, found.config, (), 1) for name in ("judge", "test")]
        return scores[0] or float("inf"), scores[1] or float("inf")

    best = {}
    for way in WAYS:
        for seed in range(SEEDS):
            run_dir = _run_dir(place, way, seed)
            members = sorted(run_dir.glob("member_*")) or [run_dir]
            best[way, seed] = min(map(both, members))[1]
    return best


def _tell(
    seconds: Mapping[tuple[str, int], float], distances: Mapping[tuple[str, int], float]
) -> None:
    """Print a line for each way."""
    print(f"Fashion-MNIST, {SEEDS} seeds, {MEMBERS} x {STEPS} steps, a tournament every {EVERY}")
    print(f"{'':<26}{'Fréchet':>9}{'seconds':>9}  of best of 4 (95%)")
    for way in WAYS:
        own = [distances[way, seed] for seed in range(SEEDS)]
        took = median(seconds[way, seed] for seed in range(SEEDS))
        ratio = estimate([own[seed] / distances["best of 4", seed] for seed in range(SEEDS)])
        interval = f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
        print(f"{way:<26}{median(own):>9.1f}{took:>9.0f}  {interval}")


if __name__ == "__main__":
    main()
