"""Time the steps of a run with and without communication: one start of a scaling study.

    mpirun -n 4 python -m hpcgan.scaling.measure CONFIG.yaml OUT.json weak|strong SECONDS
        [--section.key VALUE ...]

``hpcgan scale`` starts it. All ranks train the networks of the configuration on its data: first
each rank alone, the no-communication baseline; then with the ring. They do not
alternate, since Horovod, once started, cannot be ended, and its thread looks for tensors on each
rank's core even while nothing is exchanged: a baseline beside it would be slower than it is.
Repeats of the whole even out what else changes.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hpcgan.packages import version_of
from hpcgan.parallel import placing
from hpcgan.parallel.silence import Meeting, Silence
from hpcgan.scaling import calls
from hpcgan.scaling.calls import Given
from hpcgan.scaling.model import Traffic
from hpcgan.scaling.runs import Run, Segment
from hpcgan.training.callback import Call, Callback
from hpcgan.training.calls import steps_per_call
from hpcgan.training.timer import Timer
from hpcgan.world import World

if TYPE_CHECKING:
    from hpcgan.parallel import Strategy

# Segments of each way that count: their median allows two that something else disturbed.
_SEGMENTS = 5
_SINGLE = 20  # single steps of each rank that are timed, for their variation
_PACKAGES = ("hpcgan", "tensorflow", "keras", "horovod", "mpi4py", "numpy")


def measure(world: World, given: Given, seconds: float) -> dict[str, Any]:
    """Time both ways, ``seconds`` each; return a ``Run``'s attributes. All ranks must call it."""
    bench, plan = Bench(given), given.plan
    baseline = bench.way(bench.baseline, seconds)
    compute = bench.singles(seconds)
    # Made after the baseline is compiled, since layers that talk to other ranks get the ring by it.
    noise = bench.noise = calls.NoiseScales(plan.config)  # without an exchange there is none
    exchange = bench.way(given.over_ring(), seconds)
    per_shard = plan.images_per_step // len(plan.assignment.sizes)
    return {
        "job": os.environ.get("SLURM_JOB_ID"),
        "cores": world.gather_json(world.cores),
        "oversubscribed": world.shares_cores,
        "images": plan.images_per_step,
        "samples": per_shard * max(world.gather_json(len(plan.assignment.hosted))),
        "generator_ranks": bench.generator_ranks,
        "traffic": bench.traffic(),
        "exchange": exchange,
        "baseline": baseline,
        "compute_seconds": compute,
        "skipped": bench.skipped,
        "versions": {name: version_of(name) for name in _PACKAGES}
        | {"python": platform.python_version()},
        **noise.values(),
    }


def without_exchange(given: Given) -> tuple[Silence, Strategy]:
    """Return the way of training of ranks that never talk, and what counts what they would send.

    All ranks must call it.
    """
    from hpcgan.parallel import making

    world, config, dtype = given.world, given.plan.config, given.plan.source.dtype
    silence = Silence(world.size)
    still = replace(config, train=replace(config.train, swap_every=0))
    group = world.split(making.group_of(config, world))
    return silence, world.all_or_raise(
        lambda: making.from_ring(silence, world, group, still, given.state, dtype)
    )


class Bench:
    """The ways in which steps are timed.

    All ranks must make it and call its methods in the same order.

    Attributes:
        baseline: the way of ranks that never talk.
        generator_ranks: that train G alone.
        skipped: timed steps in which an update was left out, since its numbers were not finite.
        noise: is told of all calls.
    """

    def __init__(self, given: Given) -> None:
        """Make the no-communication baseline."""
        self._given, self._world = given, given.world
        self._pace = 0.0  # seconds of a step of the last way, about
        self.skipped = 0
        self.noise = calls.NoiseScales(given.plan.config)
        self.generator_ranks = placing.of(given.plan.config, self._world.size).generator_ranks
        self._silence, self.baseline = without_exchange(given)

    def traffic(self) -> dict[str, Any]:
        """Return what a step sends, as ``model.Traffic``. All ranks must call it."""
        every = self._world.gather_json(self._silence.meetings)
        meetings = [[Meeting(*each) for each in own] for own in every]
        return vars(traffic(meetings, self.generator_ranks))

    def way(self, strategy: Strategy, seconds: float) -> list[Segment]:
        """Return what counts of a way: ``seconds`` of it, after its compilation and warm-up."""
        self._segments(strategy, 1, steps=1, calls=1)
        first = self._segments(strategy, 1, steps=1, calls=3).segments[0]
        self._pace = max(first.seconds) / first.steps
        steps = steps_per_call(self._pace)
        calls = max(1, round(seconds / _SEGMENTS / (steps * self._pace)))
        timed = self._segments(strategy, 1 + _SEGMENTS, steps, calls)
        # The first one has the first calls of this length.
        self.skipped += sum(timed.skipped[1:])
        return timed.segments[1:]

    def _segments(self, strategy: Strategy, number: int, steps: int, calls: int) -> SegmentTimer:
        """Train for segments of calls, each of ``steps`` steps, and time them."""
        timer = Timer()
        segments = SegmentTimer(self._world, timer, calls)
        trainer = self._given.trainer(strategy, timer, [segments, self.noise])
        segments.begin()
        trainer.fit(self._given.state.step + number * calls * steps, most=steps)
        return segments

    def singles(self, seconds: float) -> list[list[float]]:
        """Return the seconds of single steps without communication, of each rank."""
        number = min(_SINGLE, max(2, int(seconds / _SEGMENTS / self._pace)))
        timer = Timer()
        calls = CallTimer(timer)
        trainer = self._given.trainer(self.baseline, timer, [calls])
        trainer.fit(self._given.state.step + number, most=1)
        return self._world.gather_json(calls.seconds)


def traffic(meetings: Sequence[Sequence[Meeting]], generator_ranks: int) -> Traffic:
    """Return the meetings of each rank in a step as the cost model has them.

    Of several groups those all-reduces count of which a rank has to send most.
    """
    ranks = len(meetings)

    def moved(own: Sequence[Meeting]) -> float:
        return sum(each.sent * (each.ranks - 1) / each.ranks for each in own if each.kind == "sum")

    sums = [each for each in max(meetings, key=moved) if each.kind == "sum"]
    of_all = [each.sent for each in sums if each.ranks == ranks]
    of_group = [each for each in sums if each.ranks < ranks]
    handed = [each for own in meetings for each in own if each.kind == "hand-over"]
    fewer = min(generator_ranks, ranks - generator_ranks) if generator_ranks else ranks
    return Traffic(
        gradient_bytes=sum(of_all),
        exchanges=len(of_all),
        group_bytes=sum(each.sent for each in of_group),
        group_exchanges=len(of_group),
        group_share=of_group[0].ranks / ranks if of_group else 1.0,
        hand_over_bytes=max((max(each.sent, each.received) for each in handed), default=0),
        hand_overs=len(handed) // ranks,
        batch_share=fewer / ranks,
    )


class SegmentTimer(Callback):
    """Times segments of calls, which all ranks begin together.

    Attributes:
        segments: those that have ended.
        skipped: steps in which an update was left out, in each of them.
    """

    def __init__(self, world: World, timer: Timer, calls: int) -> None:
        """Prepare segments of ``calls`` calls of the trainer that has ``timer``."""
        self._world, self._timer, self._calls = world, timer, calls
        self.segments: list[Segment] = []
        self.skipped: list[int] = []

    def begin(self) -> None:
        """Begin a segment. All ranks must call it."""
        self._world.barrier()
        self._timer.reset()
        self._made: list[Call] = []
        self._began = time.perf_counter()

    def after_call(self, call: Call) -> None:
        """Count a call; end the segment if it was its last, and begin the next."""
        self._made.append(call)
        if len(self._made) < self._calls:
            return
        own = (time.perf_counter() - self._began, self._timer.seconds["input"])
        seconds, waits = zip(*self._world.gather_json(own), strict=True)
        steps = sum(each.steps for each in self._made)
        self.segments.append(Segment(steps, list(seconds), list(waits)))
        self.skipped.append(sum(int(each.skipped.sum()) for each in self._made))
        self.begin()


class CallTimer(Callback):
    """Times each call of this rank, without waiting for others.

    Attributes:
        seconds: of each call.
    """

    def __init__(self, timer: Timer) -> None:
        """Read ``timer``, the trainer's."""
        self._timer = timer
        self.seconds: list[float] = []

    def after_call(self, call: Call) -> None:
        """Take the time of a call."""
        self.seconds.append(self._timer.seconds["update"])
        self._timer.reset()


if __name__ == "__main__":
    sys.exit(calls.main(Run, measure))
