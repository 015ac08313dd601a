"""The parts of a step: worked out by hand, expected maxima that are known, and drawn steps."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hpcgan.scaling.model import Model, slowest_of

MODEL = Model(
    samples=10,
    compute_fixed=0.1,
    compute_per_sample=0.09,
    gradient_bytes=1e6,
    negotiations=0,
    within_latency=1e-4,
    within_bandwidth=1e8,
    between_latency=1e-3,
    between_bandwidth=1e6,
    eager=math.inf,
)
FOUR_PER_NODE = replace(MODEL, ranks_per_node=4)


def test_one_rank_only_computes() -> None:
    alone = replace(MODEL, overhead=1.0, variation=0.5).step(1)
    assert alone.total == alone.compute == pytest.approx(1.0)  # 0.1 + 10 x 0.09
    assert alone.bottleneck == "compute"


# 2 x 1/2 x 1 MB and 2 messages; 2 x 3/4 x 1 MB and 6.
@pytest.mark.parametrize(("ranks", "seconds"), [(2, 1.0 + 2e-3), (4, 1.5 + 6e-3)])
def test_all_reduce_over_nodes(ranks: int, seconds: float) -> None:
    assert MODEL.all_reduce(ranks, 1e6) == pytest.approx(seconds)


def test_a_ring_within_a_node_never_leaves_it() -> None:
    assert FOUR_PER_NODE.all_reduce(4, 1e6) == pytest.approx(1.5 * 0.01 + 6 * 1e-4)


def test_a_ring_through_nodes_has_the_bytes_of_the_slowest_link_and_all_hops() -> None:
    # 8 ranks on 2 nodes: 2 of 14 messages go between nodes.
    expected = 2 * 7 / 8 * 1.0 + 2 * 1e-3 + 12 * 1e-4
    assert FOUR_PER_NODE.all_reduce(8, 1e6) == pytest.approx(expected)
    slow = replace(FOUR_PER_NODE, within_bandwidth=1e5)
    assert slow.all_reduce(8, 1e6) == pytest.approx(expected - 1.75 + 17.5)


def test_large_messages_between_nodes_make_three_trips() -> None:
    eager = replace(MODEL, eager=1e5)
    assert eager.all_reduce(10, 1e6) == pytest.approx(1.8 + 18 * 1e-3)
    assert eager.all_reduce(8, 1e6) == pytest.approx(1.75 + 3 * 14 * 1e-3)


def test_each_exchange_has_its_messages_overhead_and_negotiations() -> None:
    model = replace(MODEL, exchanges=3, overhead=0.01, negotiations=1.5)
    # The bytes once; 2 messages, the overhead and 1.5 small all-reduces of 1 level three times.
    expected = 1.0 + 3 * (2e-3 + 0.01 + 1.5e-3)
    assert model.step(2).exchange == pytest.approx(expected)


def test_all_reduces_within_a_group_have_its_ranks_and_nodes() -> None:
    model = replace(
        FOUR_PER_NODE, gradient_bytes=0, exchanges=0, group_bytes=2e6, group_exchanges=2
    )
    # Half of 16 ranks, on 2 of 4 nodes; of 4 ranks those of one node; of 2 there is nothing.
    half = replace(model, group_share=0.5, overhead=0.01)
    expected = [0.0, 0.02 + 2 * model.all_reduce(2, 1e6), 0.02 + 2 * model.all_reduce(8, 1e6)]
    assert [half.exchange(ranks) for ranks in (2, 4, 16)] == pytest.approx(expected)


def test_a_hand_over_sends_all_at_once() -> None:
    model = replace(
        FOUR_PER_NODE,
        exchanges=0,
        gradient_bytes=0,
        hand_over_bytes=1e6,
        hand_overs=2,
        overhead=0.01,
        negotiations=1.5,
    )
    within = 1e-4 + 0.01 + 0.01 + 1.5 * 2 * 1e-4  # of 4 ranks: message, bytes, and the start
    assert model.exchange(4) == pytest.approx(2 * within)
    # Four ranks of a node share its link; the lengths are told, and then there are three trips.
    between = 4e-3 + 4 * 1.0 + 0.01 + 1.5 * 4 * 1e-3
    assert model.exchange(16) == pytest.approx(2 * between)


def test_two_ranks_wait_for_the_slower_one() -> None:
    # The maximum of two exponential draws is 1 + 1/2 of their mean.
    parts = replace(MODEL, variation=1.0, gradient_bytes=0).step(2)
    assert parts.compute == pytest.approx(1.0)
    assert parts.stragglers == pytest.approx(0.5)
    assert parts.bottleneck == "stragglers"


def test_more_ranks_never_make_a_step_shorter_and_better_links_never_longer() -> None:
    model = replace(FOUR_PER_NODE, variation=0.1)
    totals = [model.step(ranks).total for ranks in (1, 2, 4, 8, 64, 4096, 100_000)]
    assert totals == sorted(totals)
    for better in ({"between_bandwidth": 1e7}, {"between_latency": 0.0}):
        assert replace(model, **better).step(8).total < model.step(8).total


@pytest.mark.parametrize("ranks", [1, 2, 5, 1000, 100_000])
def test_the_slowest_of_exponential_times_is_a_harmonic_number(ranks: int) -> None:
    assert slowest_of(ranks, 1.0) == pytest.approx(sum(1 / n for n in range(1, ranks + 1)))


@pytest.mark.parametrize(
    ("ranks", "maximum"),
    [(2, 1 / math.sqrt(math.pi)), (3, 1.5 / math.sqrt(math.pi)), (10, 1.53875273)],
)
def test_small_variations_are_those_of_a_normal_distribution(ranks: int, maximum: float) -> None:
    assert (slowest_of(ranks, 1e-5) - 1) / 1e-5 == pytest.approx(maximum, rel=1e-4)


def test_equal_ranks_and_one_rank_wait_for_nobody() -> None:
    assert slowest_of(1000, 0.0) == 1
    assert slowest_of(1, 0.5) == 1


def test_the_slowest_of_more_ranks_and_of_more_different_ones_is_slower() -> None:
    over_ranks = [slowest_of(ranks, 0.1) for ranks in (1, 2, 3, 10, 1000, 100_000)]
    assert over_ranks == sorted(set(over_ranks))
    over_variations = [slowest_of(10, variation) for variation in np.linspace(0, 1, 11)]
    assert over_variations == sorted(set(over_variations))


@pytest.mark.parametrize("variation", [0.04, 0.2, 1.0])
@pytest.mark.parametrize(("ranks", "steps"), [(1, 4000), (3, 4000), (16, 4000), (100_000, 20)])
def test_drawn_steps_have_the_mean_that_the_model_expects(
    variation: float, ranks: int, steps: int
) -> None:
    model = replace(FOUR_PER_NODE, variation=variation)
    generator, shape = np.random.default_rng(ranks), variation**-2
    slowest = [generator.gamma(shape, 1 / shape, ranks).max() for _ in range(steps)]
    drawn = model.compute * np.array(slowest) + model.exchange(ranks)
    error = drawn.std(ddof=1) / math.sqrt(steps)
    assert abs(drawn.mean() - model.step(ranks).total) < 3 * error
