"""What looking back costs a GAN: the Fréchet distance at equal numbers of images seen.

    python -m benchmarks.staleness

The preset of the digits is trained on one rank with ``train.staleness`` 0, 1, 2 and 4, from five
seeds each, at its rates and at those divided by sqrt(2 s + 1), with which the distance from an
equilibrium grows as without staleness (docs/parallelism.md). Two runs go at once, a core each. It
prints medians, and the ratio to no staleness at the preset's rates, paired by seed, with its 95%
interval. The distances are those of ``hpcgan scale --quality``, in 32 principal components.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from benchmarks.measure import run
from data_tools import digits
from hpcgan.config_file import load
from hpcgan.scaling.runs import Quality, read_start
from hpcgan.scaling.summary import estimate

STALENESS = (0, 1, 2, 4)
SEEDS = 5
IMAGES = 19_200
AT_ONCE = 2

Case = tuple[int, bool]  # the staleness, and whether the rates are divided


def main() -> None:
    """Train all runs and print the table."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    cases: list[Case] = [
        (0, False),
        *((s, small) for s in STALENESS[1:] for small in (False, True)),
    ]
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(AT_ONCE) as pool:
        data = Path(name) / "digits.h5"
        digits.write(data, 28, 0.2, 0)
        # Seed after seed, so that all cases see the same of what else the machine does.
        tasks = {(case, seed): (data, case, seed) for seed in range(SEEDS) for case in cases}
        found = dict(zip(tasks, pool.map(lambda each: train(*each), tasks.values()), strict=True))
    tell({case: [found[case, seed] for seed in range(SEEDS)] for case in cases})


def train(data: Path, case: Case, seed: int) -> list[float]:
    """Return the distances before training, in its middle, and at its end."""
    out = data.with_name(f"{case[0]}-{case[1]}-{seed}.json")
    program = [sys.executable, "-m", "hpcgan.scaling.quality_run", "digits", str(out), "weak"]
    words = [str(IMAGES), f"--data.files=[{data}]", f"--seed={seed}", *options(*case)]
    run([*program, *words])
    points = read_start(out, Quality).points
    return [points[place].frechet for place in (0, len(points) // 2, -1)]


def options(staleness: int, is_small: bool) -> Iterator[str]:
    """Yield the options of a case."""
    yield f"--train.staleness={staleness}"
    factor = math.sqrt(2 * staleness + 1) if is_small else 1.0
    optimizers = load("digits", ["--data.files=[unused]"]).optimizer
    for name in ("generator", "discriminator"):
        rate = getattr(optimizers, name).learning_rate / factor
        yield f"--optimizer.{name}.learning_rate={rate!r}"


def tell(found: dict[Case, list[list[float]]]) -> None:
    """Print a line for each case, of its (seeds, points) distances."""
    before = median(first for seeds in found.values() for first, *_ in seeds)
    print(f"digits, {SEEDS} seeds, one rank; Fréchet distance {before:.1f} before training")
    print(f"{'staleness':>9}  {'rates':<18}{'middle':>8}{'end':>8}  of none (95%)")
    for (staleness, is_small), seeds in found.items():
        rates = f"/ {math.sqrt(2 * staleness + 1):.2f}" if is_small else "the preset's"
        middle, end = (median(each[place] for each in seeds) for place in (1, 2))
        pairs = zip(seeds, found[0, False], strict=True)
        ratio = estimate([own[-1] / none[-1] for own, none in pairs])
        interval = f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"
        print(f"{staleness:>9}  {rates:<18}{middle:>8.1f}{end:>8.1f}  {interval}")


if __name__ == "__main__":
    main()
