"""Does the cost model predict a step over links, and in ways of training, that it has not seen?

    python -m benchmarks.links [--ways]

Two hosts are made on this machine, a rank and a core each (``benchmarks.two_hosts``): it needs root
and two cores. The DCGAN and the MLP of 28x28, 64 samples per rank, are trained over each of several
links, by ``hpcgan.scaling.measure``, in interleaved repeats. The model is fitted to the synchronous
steps of the two over a link that is as fast as this machine copies; what it then predicts for the
others, from their rate and delay, stands beside what was measured there. How long the ranks
compute is measured in the same start, without communication.

With --ways the DCGAN is trained in each way of training, and over the shared memory of one host,
too, where the model is fitted again.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.measure import MPIRUN, run, write_run
from benchmarks.two_hosts import Cable, link, missing_programs, mpirun, two_hosts
from hpcgan.scaling.fit import Fit, Point, fit, predict_step
from hpcgan.scaling.model import Model
from hpcgan.scaling.runs import Run, read_start
from hpcgan.scaling.summary import measured_points, summarize

SHARED = Cable("shared memory")
FITTED = Cable("no limit")
GIGABIT, SLOW = Cable("1 Gbit/s", bits=1e9), Cable("200 Mbit/s", bits=200e6)
OTHERS = (GIGABIT, SLOW, Cable("1 ms", delay=1e-3))
# What is trained: the options of each; the model is fitted to the first two.
NETWORKS = {"dcgan": ["--model.name", "dcgan"], "mlp": ["--model.name", "mlp"]}
WAYS = {
    "split": ["--model.name", "dcgan", "--parallel.mode", "split", "--train.staleness", "1"],
    "local": ["--model.name", "dcgan", "--train.discriminators", "2"],
}
REPEATS = 3
SECONDS = 5.0
BAR = 0.15

Found = dict[tuple[Cable, str], list[Run]]


def main() -> int:
    """Measure, fit, predict and print; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ways", action="store_true", help="other ways of training, too")
    ways = parser.parse_args().ways
    missing = missing_programs()
    if os.geteuid() or missing:
        why = f"install {', '.join(missing)}" if missing else "run it as root"
        print(f"benchmarks.links: makes network namespaces: {why}", file=sys.stderr)
        return 2
    cables = [SHARED, FITTED, GIGABIT, SLOW] if ways else [FITTED, *OTHERS]
    found = measure(cables, NETWORKS | (WAYS if ways else {}))
    print(f"2 ranks with a core each, 64 samples per rank; medians of {REPEATS} starts")
    if ways:
        tell(found, SHARED, [SHARED])
    tell(found, FITTED, [each for each in cables if each is not SHARED])
    return 0


def measure(cables: Sequence[Cable], cases: Mapping[str, Sequence[str]]) -> Found:
    """Return the starts of each case over each link."""
    found: Found = defaultdict(list)
    with tempfile.TemporaryDirectory() as name, two_hosts() as hosts:
        place = Path(name)
        program = [sys.executable, "-m", "hpcgan.scaling.measure", write_run(place)]
        out = place / "run.json"
        for _ in range(REPEATS):
            for cable in cables:
                for case, options in cases.items():
                    own = [*program, str(out), "weak", str(SECONDS), *options]
                    if cable is SHARED:
                        run([MPIRUN, "-n", "2", "--bind-to", "core", *own])
                    else:
                        with link(hosts, cable):
                            run(mpirun(hosts, MPIRUN, place / "agent", own))
                    found[cable, case].append(read_start(out, Run))
    return found


def point(runs: Sequence[Run]) -> Point:
    """Return the starts of a case over a link as a point of the cost model."""
    (found,) = measured_points(summarize(runs))
    return found


def fitted_to(found: Found, cable: Cable) -> Fit:
    """Return the fit over a link without delay or limit, whose bandwidth is that of copying."""
    known = {} if cable is SHARED else {"between_latency": 0.0}
    return fit([point(found[cable, case]) for case in NETWORKS], **known)


def over(model: Model, cable: Cable) -> Model:
    """Return a model of ranks that copy as fast, over a link with a rate and a delay."""
    byte = 1 / model.between_bandwidth + (1 / cable.bytes if cable.bytes else 0.0)
    bandwidth = 1 / byte if byte else math.inf
    return replace(model, between_latency=cable.delay, between_bandwidth=bandwidth)


def tell(found: Found, fitted: Cable, cables: Sequence[Cable]) -> None:
    """Print the fit over a link, and what it predicts beside what was measured over some."""
    model = fitted_to(found, fitted)
    values = ", ".join(f"{name} {value:.3g}" for name, value in model.unknowns.items())
    print(f"fitted over the link {fitted.name}: {values}")
    headings = f"{'measured':>11}{'predicted':>11}{'error':>8}  of it exchange  as fast"
    print(f"{'link':<14}{'trained':<8}{headings}")
    worst = 0.0
    for cable, case in (each for each in found if each[0] in cables):
        own = point(found[cable, case])
        measured = own.step_seconds
        step = predict_step(over(model.model, cable), own)
        error = step.total / measured - 1
        if (cable, case) not in [(fitted, each) for each in NETWORKS]:
            worst = max(worst, abs(error))
        times = point(found[cable, "dcgan"]).step_seconds / measured
        print(
            f"{cable.name:<14}{case:<8}{1e3 * measured:>8.2f} ms{1e3 * step.total:>8.2f} ms"
            f"{error:>+8.1%}{step.exchange / step.total:>16.0%}"
            + (f"{times:>9.2f}" if case in WAYS else "")
        )
    print(f"largest error of what was not fitted: {worst:.1%} (wanted: below {BAR:.0%})")


if __name__ == "__main__":
    sys.exit(main())
