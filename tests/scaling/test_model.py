"""The parts of a step, worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from hpcgan.errors import ConfigError
from hpcgan.scaling.model import Algorithm, Link, Machine, Work, all_reduce, step

BETWEEN = Link(latency=1e-3, bandwidth=1e6)
WITHIN = Link(latency=1e-4, bandwidth=1e8)
WORK = Work(samples=10, compute_fixed=0.1, compute_per_sample=0.09, gradient_bytes=1e6)


def machine(per_node: int = 1, algorithm: Algorithm = "ring") -> Machine:
    return Machine(BETWEEN, WITHIN, per_node, algorithm)


def test_one_rank_only_computes() -> None:
    alone = step(machine(), replace(WORK, overhead=1.0, variation=0.5), 1)
    assert alone.total == alone.compute == pytest.approx(1.0)  # 0.1 + 10 x 0.09
    assert alone.bottleneck == "compute"


@pytest.mark.parametrize(
    ("algorithm", "ranks", "seconds"),
    [
        ("ring", 2, 1.0 + 2e-3),  # 2 x 1/2 x 1 MB, 2 messages
        ("ring", 4, 1.5 + 6e-3),
        ("tree", 2, 2.0 + 2e-3),
        ("tree", 8, 2.0 + 6e-3),  # log2 8 levels, down and up
        ("tree", 5, 2.0 + 6e-3),  # as many as for 8
    ],
)
def test_all_reduce_over_nodes(algorithm: Algorithm, ranks: int, seconds: float) -> None:
    assert all_reduce(machine(1, algorithm), ranks, 1e6) == pytest.approx(seconds)


def test_a_ring_within_a_node_never_leaves_it() -> None:
    assert all_reduce(machine(4), 4, 1e6) == pytest.approx(1.5 * 0.01 + 6 * 1e-4)


def test_a_ring_through_nodes_has_the_bytes_of_the_slowest_link_and_all_hops() -> None:
    # 8 ranks on 2 nodes: 2 of 14 messages go between nodes.
    expected = 2 * 7 / 8 * 1.0 + 2 * 1e-3 + 12 * 1e-4
    assert all_reduce(machine(4), 8, 1e6) == pytest.approx(expected)


def test_a_tree_through_nodes_has_levels_in_and_between_them() -> None:
    expected = 2 * 1.0 + 2 * 1e-3 + 2 * 2 * 1e-4
    assert all_reduce(machine(4, "tree"), 8, 1e6) == pytest.approx(expected)


def test_hierarchical_is_trees_within_nodes_around_a_ring_between_them() -> None:
    expected = (2 * 0.01 + 2 * 2 * 1e-4) + (1.0 + 2 * 1e-3)
    assert all_reduce(machine(4, "hierarchical"), 8, 1e6) == pytest.approx(expected)


@pytest.mark.parametrize("ranks", [1, 2, 3, 100])
def test_hierarchical_with_one_rank_a_node_is_a_ring(ranks: int) -> None:
    ring, hierarchical = machine(1), machine(1, "hierarchical")
    assert all_reduce(hierarchical, ranks, 1e6) == pytest.approx(all_reduce(ring, ranks, 1e6))


def test_software_costs_bytes_and_trips_cost_latency() -> None:
    slow = replace(BETWEEN, software=1e6, trips=3)
    assert all_reduce(replace(machine(), between=slow), 2, 1e6) == pytest.approx(2.0 + 6e-3)


def test_small_messages_make_one_trip() -> None:
    link = replace(BETWEEN, trips=3, eager=1e5)
    eager = replace(machine(), between=link)
    assert all_reduce(eager, 10, 1e6) == pytest.approx(1.8 + 18 * 1e-3)
    assert all_reduce(eager, 8, 1e6) == pytest.approx(1.75 + 3 * 14 * 1e-3)


def test_each_exchange_has_its_messages_overhead_and_negotiations() -> None:
    work = replace(WORK, exchanges=3, overhead=0.01, negotiations=1.5)
    # The bytes once; 2 messages, the overhead and 1.5 small all-reduces of 1 level three times.
    expected = 1.0 + 3 * (2e-3 + 0.01 + 1.5e-3)
    assert step(machine(), work, 2).exchange == pytest.approx(expected)


def test_overlap_hides_the_exchange_behind_its_share_of_the_compute_time() -> None:
    work = replace(WORK, overlap=0.4, overhead=0.01)
    assert step(machine(), work, 2).exchange == pytest.approx(1.002 - 0.4 + 0.01)
    assert step(machine(), replace(work, overlap=1, gradient_bytes=1e5), 2).exchange == 0.01


def test_two_ranks_wait_for_the_slower_one() -> None:
    # The maximum of two exponential draws is 1 + 1/2 of their mean.
    parts = step(machine(), replace(WORK, variation=1.0, gradient_bytes=0), 2)
    assert parts.compute == pytest.approx(1.0)
    assert parts.stragglers == pytest.approx(0.5)
    assert parts.bottleneck == "stragglers"


def test_input_stalls_where_reading_takes_longer_than_the_rest() -> None:
    shared = replace(machine(), file_system_bandwidth=1e3)
    work = replace(WORK, sample_bytes=10.0, gradient_bytes=0)
    # 10 samples of 10 bytes a rank: 0.1 s a rank, hidden behind 1 s until there are ten.
    assert step(shared, work, 9).input == 0
    parts = step(shared, work, 30)
    assert parts.input == pytest.approx(2.0 - parts.exchange)
    assert parts.total == pytest.approx(3.0)
    assert parts.bottleneck == "input"


def test_checkpoints_are_paid_by_the_steps_between_them() -> None:
    slow = replace(machine(), checkpoint_bandwidth=1e6)
    work = replace(WORK, gradient_bytes=0, checkpoint_bytes=2e7, checkpoint_every=100)
    assert step(slow, work, 1).checkpoint == pytest.approx(0.2)
    assert step(slow, work, 1).bottleneck == "checkpoint"


def test_more_ranks_never_make_a_step_shorter_and_better_links_never_longer() -> None:
    work = replace(WORK, variation=0.1, sample_bytes=1.0, overlap=0.3)
    shared = replace(machine(4), file_system_bandwidth=1e4)
    totals = [step(shared, work, ranks).total for ranks in (1, 2, 4, 8, 64, 4096, 100_000)]
    assert totals == sorted(totals)
    faster = replace(shared, between=replace(BETWEEN, bandwidth=1e7))
    assert step(faster, work, 8).total < step(shared, work, 8).total
    nearer = replace(shared, between=replace(BETWEEN, latency=0))
    assert step(nearer, work, 8).total < step(shared, work, 8).total


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        (Link, {"latency": -1}),
        (Link, {"bandwidth": 0}),
        (Link, {"software": 0}),
        (Link, {"trips": 0}),
        (Machine, {"ranks_per_node": 0}),
        (Machine, {"algorithm": "star"}),
        (Machine, {"file_system_bandwidth": 0}),
        (Work, {"samples": 0}),
        (Work, {"compute_fixed": 0, "compute_per_sample": 0}),
        (Work, {"variation": -0.1}),
        (Work, {"overhead": math.nan}),
        (Work, {"exchanges": 0}),
        (Work, {"overlap": 1.1}),
    ],
)
def test_values_out_of_bounds_are_refused(what: type, changes: dict) -> None:
    right = {Link: BETWEEN, Machine: machine(), Work: WORK}[what]
    with pytest.raises(ConfigError):
        replace(right, **changes)


def test_no_rank_is_refused() -> None:
    with pytest.raises(ConfigError):
        step(machine(), WORK, 0)
