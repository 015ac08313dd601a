"""How split divides the ranks between the networks."""

from __future__ import annotations

import pytest

from hpcgan.config import Config, DataConfig, ModelConfig, ParallelConfig, TrainConfig
from hpcgan.parallel import balancing, placing


@pytest.mark.parametrize(
    ("turns", "shards", "ranks", "wanted"),
    [
        ((1.0, 1.0), 8, 8, 4),
        ((1.0, 3.0), 8, 8, 2),  # G's ranks have 4 shards each, D's 2: 4 against 6 seconds
        ((3.0, 1.0), 12, 8, 6),
        ((1.0, 100.0), 4, 4, 1),
        ((1.0, 1.0), 4, 3, 1),  # 4 seconds either way: the fewest
        ((5.0, 1.0), 2, 4, 2),  # one rank alone for D would be right, and three have too few shards
    ],
)
def test_the_shortest_step_is_chosen(turns, shards, ranks, wanted) -> None:
    assert balancing.best(turns, shards, ranks) == wanted


def test_every_choice_gives_every_rank_a_shard() -> None:
    for ranks in range(2, 9):
        for shards in range((ranks + 1) // 2, 9):
            for g in balancing.fitting(shards, ranks):
                place = placing.Placing(shards, ranks, g)
                assert all(len(place.hosted(rank)) for rank in range(ranks))


@pytest.mark.parametrize("update", ["simultaneous", "alternating"])
@pytest.mark.parametrize("staleness", [0, 2])
def test_a_turn_of_each_network_is_timed(update, staleness) -> None:
    config = Config(
        data=DataConfig(files=["unused"], shards=6),
        model=ModelConfig(name="dcgan", width=2, latent_dim=4, condition="projection", classes=3),
        train=TrainConfig(batch_size=4, update=update, staleness=staleness),
        parallel=ParallelConfig(mode="split"),
    )
    g, d = balancing.time_turns(config, (8, 8, 1), "uint8")
    assert 0 < g < 60
    assert 0 < d < 60
