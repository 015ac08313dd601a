"""Does the cost model predict a step over links that it has not seen? Needs root, and two cores.

    python -m benchmarks.links

Two hosts are made on this machine, a rank and a core each (``benchmarks.two_hosts``). The DCGAN and
the MLP of 28x28, 64 samples per rank, are trained over each of several links, by
``hpcgan.scaling.measure``, in interleaved repeats. The model is fitted to the two over a link that
is as fast as this machine copies; what it then predicts for the others, from their rate and delay
alone, stands beside what was measured there.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import MPIRUN, run, write_run
from benchmarks.two_hosts import Cable, link, missing_programs, mpirun, two_hosts
from hpcgan.scaling.fit import Fit, Point, fit, predict_step
from hpcgan.scaling.model import Model
from hpcgan.scaling.runs import Run, read_start
from hpcgan.scaling.summary import measured_points, summarize

FITTED = Cable("no limit")
OTHERS = (
    Cable("1 Gbit/s", bits=1e9),
    Cable("200 Mbit/s", bits=200e6),
    Cable("1 ms", delay=1e-3),
)
MODELS = ("dcgan", "mlp")
REPEATS = 3
SECONDS = 5.0
BAR = 0.15

Found = dict[tuple[Cable, str], list[Run]]


def main() -> int:
    """Measure, fit, predict and print; return the exit status."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    missing = missing_programs()
    if os.geteuid() or missing:
        why = f"install {', '.join(missing)}" if missing else "run it as root"
        print(f"benchmarks.links: makes network namespaces: {why}", file=sys.stderr)
        return 2
    found = measure()
    fast = {model: point(found[FITTED, model]) for model in MODELS}
    fitted = fit_fast(fast)
    tell(found, fast, fitted)
    return 0


def measure() -> Found:
    """Return the starts of each model over each link."""
    found: Found = defaultdict(list)
    with tempfile.TemporaryDirectory() as name, two_hosts() as hosts:
        place = Path(name)
        config = write_run(place)
        for _ in range(REPEATS):
            for cable in (FITTED, *OTHERS):
                with link(hosts, cable):
                    for model in MODELS:
                        out = place / "run.json"
                        program = [sys.executable, "-m", "hpcgan.scaling.measure"]
                        program += [config, str(out), "weak", str(SECONDS), "--model.name", model]
                        run(mpirun(hosts, MPIRUN, place / "agent", program))
                        found[cable, model].append(read_start(out, Run))
    return found


def point(runs: Sequence[Run]) -> Point:
    """Return the starts of a model over a link as a point of the cost model."""
    (found,) = measured_points(summarize(runs))
    return found


def fit_fast(fast: dict[str, Point]) -> Fit:
    """Return the fit over a link without delay or limit, whose bandwidth is that of copying."""
    return fit(list(fast.values()), between_latency=0.0)


def over(model: Model, cable: Cable) -> Model:
    """Return a model of ranks that copy as fast, over a link with a rate and a delay."""
    byte = 1 / model.between_bandwidth + (1 / cable.bytes if cable.bytes else 0.0)
    return replace(model, between_latency=cable.delay, between_bandwidth=1 / byte)


def tell(found: Found, fast: dict[str, Point], fitted: Fit) -> None:
    """Print the fit, and what is predicted beside what was measured."""
    values = ", ".join(f"{name} {value:.3g}" for name, value in fitted.unknowns.items())
    print(f"2 hosts, a rank and a core each, 64 samples per rank; medians of {REPEATS} starts")
    print(f"fitted over the link without a limit: {values}")
    print(f"{'link':<12}{'model':<7}{'measured':>11}{'predicted':>11}{'error':>8}  of it exchange")
    worst = 0.0
    for cable in (FITTED, *OTHERS):
        for model in MODELS:
            measured = point(found[cable, model]).step_seconds
            step = predict_step(over(fitted.model, cable), fast[model])
            error = step.total / measured - 1
            worst = max(worst, abs(error)) if cable is not FITTED else worst
            print(
                f"{cable.name:<12}{model:<7}{1e3 * measured:>8.2f} ms{1e3 * step.total:>8.2f} ms"
                f"{error:>+8.1%}{step.exchange / step.total:>10.0%}"
            )
    print(f"largest error over links that were not fitted: {worst:.1%} (wanted: below {BAR:.0%})")


if __name__ == "__main__":
    sys.exit(main())
