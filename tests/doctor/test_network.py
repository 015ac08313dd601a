"""The exchange: evaluated from made-up facts."""

from __future__ import annotations

import dataclasses

import numpy as np

from hpcgan.doctor import network
from hpcgan.doctor.network import Network, summand

_FACTS = Network("node1", "right", 2e-5, 4e-3, 1000.0, {})


def evaluated(ranks: list[Network], nodes: int = 1):
    """Return the findings by check."""
    return network.evaluate(ranks, nodes)


def pair(**change) -> list[Network]:
    """Return two ranks, the second with a change."""
    return [_FACTS, dataclasses.replace(_FACTS, host="node2", **change)]


def test_a_fast_exchange_is_ok_and_has_its_figures():
    found = evaluated(pair())
    assert [each.status for each in found.values()] == ["ok", "ok"]
    # Of two ranks each sends and takes all of it once in a ring.
    assert found["all-reduce"].figures["bytes_per_second"] == 2**22 / 4e-3
    assert (
        found["all-reduce"].text
        == "right; 20 us for one number, 4.00 ms for 4 MiB (8.39 Gbit/s per rank)"
    )


def test_wrong_sums_have_failed_and_the_rank_is_named():
    found = evaluated(pair(sums="wrong"))["all-reduce"]
    assert found.status == "failed"
    assert found.text.startswith("gives wrong sums on rank 1 on node2 (1 of 2 ranks)")


def test_an_all_reduce_that_does_not_end_has_failed_and_the_rank_is_named():
    found = evaluated([_FACTS, Network("node2", "late")])
    assert list(found) == ["all-reduce"]
    assert found["all-reduce"].status == "failed"
    assert found["all-reduce"].text.startswith("did not end in time on rank 1 on node2")


def test_long_waits_are_warnings():
    found = evaluated(pair(latency=0.005), nodes=2)["all-reduce"]
    assert found.status == "warning"
    assert "5000 us for one number" in found.text
    slow = pair(seconds=0.1)
    assert evaluated(slow)["all-reduce"].status == "warning"
    assert evaluated(slow, nodes=2)["all-reduce"].status == "ok"  # the links are evaluated


def test_links_are_compared_with_1_gbit_per_second():
    links = {"node1 - node2": 124e6, "node2 - node3": 1.2e9}
    found = evaluated(pair(links=links), nodes=3)["links"]
    assert found.status == "warning"
    assert found.text == "1 of 2 below the expected 1 Gbit/s: node1 - node2 992 Mbit/s"
    found = evaluated(pair(links={"node2 - node3": 1.2e9}), nodes=2)["links"]
    assert found.status == "ok"
    assert "node2 - node3 with 9.6 Gbit/s" in found.text


def test_a_link_that_nothing_comes_through_has_failed():
    links = {"node1 - node2": 1.2e9, "node2 - node3": 0.0}
    found = evaluated(pair(links=links), nodes=3)["links"]
    assert (found.status, found.text) == (
        "failed",
        "node2 - node3: nothing comes through in time",
    )


def test_clocks_that_differ_are_named():
    ranks = [_FACTS, *pair(clock=1002.5)]
    found = evaluated(ranks, nodes=2)["clocks"]
    assert found.status == "warning"
    assert found.text == "differ by 2.5 s; that of node2 is off by +2.5 s"
    assert evaluated(pair(clock=1000.5))["clocks"].status == "ok"


def test_what_is_added_gives_exact_sums_on_thousands_of_ranks():
    total = np.zeros(40, np.float32)
    exact = np.zeros(40, np.int64)
    for rank in range(5000):
        total += summand(40, rank)
        exact += summand(40, rank).astype(np.int64)
    np.testing.assert_array_equal(total, exact)
