"""What each rank did when, as one file for chrome://tracing or Perfetto: RUN_DIR/timeline.json.

The format is Chrome's Trace Event Format, https://docs.google.com/document/d/
1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU: a process per rank, complete events ("ph": "X") with
times in microseconds. Each rank notes by its own clock; the clocks are compared once, at the end.
An all-reduce is drawn as two: until the last rank begins it, waiting for that rank, then itself.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hpcgan.files import write_whole
from hpcgan.training.timer import PARTS, Timer
from hpcgan.world import World

_MOST = 200_000  # events of all ranks, about 30 MB; the newest ones are kept


class Slice(NamedTuple):
    """Something that a rank did.

    Attributes:
        rank: the one that did it.
        number: in ``PARTS``; of an all-reduce, how many came before.
        begin: seconds since 1970, by rank 0's clock.
        end: the same.
        step: steps made before.
    """

    rank: int
    number: int
    begin: float
    end: float
    step: int


def most_events(world: World) -> int:
    """Return how many events of a kind are kept per rank."""
    return max(100, _MOST // (2 * world.size))


def write(world: World, timer: Timer, run_dir: Path) -> Path:
    """Write the timeline and return its path. All ranks must call it.

    Raises:
        RunError: rank 0 cannot write it (on all ranks).
    """
    offset = world.clock_offset()
    tables = []
    for events in (timer.done, timer.reduced):
        table = np.array(events, np.float64).reshape(-1, 4)
        table[:, 1:3] += offset
        tables.append(world.gather_arrays(np.insert(table, 0, world.rank, axis=1)))
    path = run_dir / "timeline.json"

    def write_it() -> None:
        done, reduced = [_slices(table) for table in tables]
        lines = ",\n".join(json.dumps(event) for event in trace(world.hosts, done, reduced))
        text = f'{{"displayTimeUnit": "ms", "traceEvents": [\n{lines}\n]}}\n'
        write_whole(path, text.encode())

    world.on_root(write_it)
    return path


def _slices(table: np.ndarray | None) -> list[Slice]:
    """Return what rank 0 has gathered."""
    assert table is not None
    return [
        Slice(int(rank), int(number), begin, end, int(step))
        for rank, number, begin, end, step in table.tolist()
    ]


def trace(hosts: list[str], done: list[Slice], reduced: list[Slice]) -> Iterator[dict[str, Any]]:
    """Yield the events of the file, of the parts ``done`` and the all-reduces, by rank and time.

    Those of one number are one all-reduce. ``hosts`` are those of the ranks.
    """
    for rank, host in enumerate(hosts):
        about = {"ph": "M", "pid": rank, "tid": 0}
        yield {**about, "name": "process_name", "args": {"name": f"rank {rank} on {host}"}}
        yield {**about, "name": "process_sort_index", "args": {"sort_index": rank}}
    origin = min((each.begin for each in [*done, *reduced]), default=0.0)
    for each in done:
        yield _event(PARTS[each.number], each, origin)
    if len(hosts) > 1:
        for name, each in _waits_and_sums(reduced, len(hosts)):
            yield _event(name, each, origin)
        for each in _computing(done, reduced):
            yield _event("compute", each, origin)


def _event(name: str, each: Slice, origin: float) -> dict[str, Any]:
    # Whole microseconds, so that what ends with what it is part of does so in the file, too.
    begin, end = (round(1e6 * (time - origin)) for time in (each.begin, each.end))
    return {
        "ph": "X",
        "pid": each.rank,
        "tid": 0,
        "name": name,
        "ts": begin,
        "dur": end - begin,
        "args": {"step": each.step},
    }


def _waits_and_sums(reduced: Iterable[Slice], ranks: int) -> Iterator[tuple[str, Slice]]:
    """Yield what each all-reduce consists of, with its name; of those that all ranks have noted."""
    by_number: dict[int, list[Slice]] = defaultdict(list)
    for each in reduced:
        by_number[each.number].append(each)
    for same in by_number.values():
        if len(same) < ranks:
            continue
        last = max(same, key=lambda each: each.begin)
        for each in same:
            # Clocks are never quite the same: no rank ends before the last one begins.
            turn = min(last.begin, each.end)
            if turn > each.begin:
                yield f"wait for rank {last.rank}", each._replace(end=turn)
            yield "all-reduce", each._replace(begin=turn)


def _computing(done: Iterable[Slice], reduced: Iterable[Slice]) -> Iterator[Slice]:
    """Yield what is between the all-reduces within each call of the update."""
    waiting: dict[int, deque[Slice]] = defaultdict(deque)
    for each in reduced:
        waiting[each.rank].append(each)
    for call in done:
        if PARTS[call.number] != "update":
            continue
        reached, own = call.begin, waiting[call.rank]
        while own and own[0].begin < call.end:
            each = own.popleft()
            if each.begin > reached:
                yield each._replace(begin=reached, end=each.begin)
            reached = max(reached, each.end)
        if call.end > reached:
            yield call._replace(begin=reached)
