"""What each rank gives and gets in a hand-over of split."""

from __future__ import annotations

import pytest

from hpcgan.parallel.loads import Load, Loads
from hpcgan.parallel.placing import Placing


def test_one_rank_of_g_and_two_of_d() -> None:
    # Five shards: G has all, D's ranks 2 and 3.
    loads = [Loads(Placing(5, 3, 1), rank) for rank in range(3)]
    samples = [each.samples(10) for each in loads]
    assert samples == [Load([0, 20, 30], 0), Load([0, 0, 0], 20), Load([0, 0, 0], 30)]
    # Seven numbers of D go in two parts of four.
    parts = [each.parts(7) for each in loads]
    assert parts == [Load([0, 0, 0], 8), Load([4, 0, 0], 0), Load([4, 0, 0], 0)]
    assert samples[0] + parts[0] == Load([0, 20, 30], 8)
    assert loads[0].signs(to_g=False) == Load([0, 1, 1], 0)
    assert loads[2].signs(to_g=True) == Load([1, 0, 0], 0)


@pytest.mark.parametrize("first", [1, 2, 3, 4])
def test_all_that_is_given_arrives(first: int) -> None:
    placing = Placing(7, 5, first)
    every = [Loads(placing, rank) for rank in range(5)]
    for found in ([e.samples(3) for e in every], [e.parts(11) for e in every]):
        for rank, load in enumerate(found):
            assert load.receives == sum(other.sends[rank] for other in found)
    # Each shard's samples go once.
    assert sum(sum(each.samples(3).sends) for each in every) == 3 * 7
