"""The timeline: which events it has, when, and that it is what Chrome and Perfetto read."""

from __future__ import annotations

import json

from hpcgan.training.timeline import Slice, trace

# Two ranks: rank 1 waits 2 s for its samples, and 1 s less in the update.
_DONE = [
    Slice(0, 1, 100.0, 110.0, 4),
    Slice(0, 3, 110.0, 111.0, 5),
    Slice(1, 0, 100.0, 102.0, 4),
    Slice(1, 1, 102.0, 110.0, 4),
]
_REDUCED = [
    Slice(0, 7, 103.0, 106.0, 4),
    Slice(0, 8, 107.0, 107.5, 4),
    Slice(1, 7, 105.0, 106.0, 4),
    Slice(1, 8, 106.5, 107.5, 4),
    Slice(1, 6, 99.0, 99.5, 3),  # of an all-reduce that rank 0 has forgotten
]


def _events():
    return json.loads(json.dumps(list(trace(["north", "south"], _DONE, _REDUCED))))


def test_each_rank_is_a_process():
    names = {e["pid"]: e["args"]["name"] for e in _events() if e["name"] == "process_name"}
    assert names == {0: "rank 0 on north", 1: "rank 1 on south"}


def test_times_are_microseconds_from_the_first():
    found = [
        (e["name"], e["ts"] / 1e6, e["dur"] / 1e6, e["args"]["step"])
        for e in sorted(_events(), key=lambda e: e.get("ts", 0))
        if e["ph"] == "X" and e["pid"] == 0
    ]
    assert found == [
        ("update", 1.0, 10.0, 4),
        ("compute", 1.0, 3.0, 4),
        ("wait for rank 1", 4.0, 2.0, 4),
        ("all-reduce", 6.0, 1.0, 4),
        ("compute", 7.0, 1.0, 4),
        ("all-reduce", 8.0, 0.5, 4),
        ("compute", 8.5, 2.5, 4),
        ("journal", 11.0, 1.0, 5),
    ]


def test_a_rank_that_comes_last_waits_for_nobody():
    waits = {(e["pid"], e["name"], e["ts"], e["dur"]) for e in _events() if "wait" in e["name"]}
    assert waits == {
        (0, "wait for rank 1", 4_000_000, 2_000_000),
        (1, "wait for rank 0", 7_500_000, 500_000),
    }


def test_events_of_a_rank_are_beside_or_inside_one_another():
    for rank in (0, 1):
        spans = [
            (e["ts"], e["ts"] + e["dur"]) for e in _events() if e["ph"] == "X" and e["pid"] == rank
        ]
        for begin, end in spans:
            for other, its_end in spans:
                assert (
                    its_end <= begin
                    or end <= other
                    or (begin <= other) == (its_end <= end)
                    or (begin >= other) == (end <= its_end)
                )


def test_one_rank_has_no_all_reduces():
    events = list(trace(["north"], _DONE[:2], _REDUCED[:2]))
    assert [e["name"] for e in events if e["ph"] == "X"] == ["update", "journal"]


def test_an_all_reduce_that_some_rank_has_forgotten_is_left_out():
    drawn = {(e["pid"], e["ts"]) for e in _events() if e["name"] == "all-reduce"}
    assert drawn == {(rank, begin) for rank in (0, 1) for begin in (6_000_000, 8_000_000)}


def test_nothing_is_computed_within_an_all_reduce_that_ends_after_the_next():
    done = [Slice(rank, 1, 0.0, 10.0, 4) for rank in (0, 1)]
    reduced = [Slice(rank, *times, 4) for rank in (0, 1) for times in ((0, 2, 8), (1, 3, 5))]
    events = trace(["north", "south"], done, reduced)
    computed = [(e["ts"] / 1e6, e["dur"] / 1e6) for e in events if e["name"] == "compute"]
    assert computed == [(0.0, 2.0), (8.0, 2.0)] * 2
