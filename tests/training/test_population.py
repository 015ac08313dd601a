"""Who trains which members, and which populations are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpcgan.config import (
    Config,
    DataConfig,
    ParallelConfig,
    TrainConfig,
)
from hpcgan.config_beside import CheckpointConfig
from hpcgan.config_population import PopulationConfig, TournamentConfig
from hpcgan.errors import ConfigError, RunError, Stopped
from hpcgan.training.members import Crew, check, config_of, crews, rebalanced, shares
from hpcgan.training.population import Failure, raise_failures


def made(members: int, **changes: object) -> Config:
    config = Config(data=DataConfig(files=["a.h5"]), parallel=ParallelConfig(population=members))
    return replace(config, **changes)  # type: ignore[arg-type]


def test_fewer_ranks_than_members_take_turns() -> None:
    assert list(crews(5, 2)) == [
        Crew(0, range(0, 1), range(0, 2)),
        Crew(1, range(1, 2), range(2, 5)),
    ]


def test_more_ranks_than_members_train_together() -> None:
    assert list(crews(2, 5)) == [
        Crew(0, range(0, 2), range(0, 1)),
        Crew(1, range(2, 5), range(1, 2)),
    ]


@pytest.mark.parametrize("members", [1, 3, 8])
@pytest.mark.parametrize("ranks", [1, 3, 8])
def test_every_rank_and_every_member_has_one_crew(members: int, ranks: int) -> None:
    found = list(crews(members, ranks))
    assert [rank for crew in found for rank in crew.ranks] == list(range(ranks))
    assert [member for crew in found for member in crew.members] == list(range(members))
    assert all(crew.ranks and crew.members for crew in found)


def test_a_member_is_a_run_with_a_seed_of_its_own() -> None:
    config = made(4, name="many", seed=7)
    third = config_of(config, 2)
    expected = replace(
        config,
        name="many-2",
        seed=9,
        data=replace(config.data, shards=1),
        parallel=ParallelConfig(),
    )
    assert third == expected
    two = replace(config, data=replace(config.data, shards=2))
    assert config_of(two, 0).data.shards == 2


@pytest.mark.parametrize(
    ("changes", "ranks", "resume", "said"),
    [
        ({"seed": 2**32 - 3}, 1, "auto", "seed is 4294967293, and parallel.population 4 takes"),
        ({}, 1, "runs/a/step.h5", "--resume runs/a/step.h5 names one checkpoint"),
        (
            {},
            5,
            "auto",
            "have up to 2 ranks each, and data.shards, which is of each member, is 1; ",
        ),
        ({"train": TrainConfig(discriminators=2)}, 1, "auto", "leave out parallel.mode and train"),
        ({"parallel": ParallelConfig(mode="split", population=4)}, 2, "auto", "leave out parallel"),
    ],
)
def test_what_is_no_population_is_refused(
    changes: dict[str, object], ranks: int, resume: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")):
        check(made(4, **changes), ranks, resume)


def test_as_many_ranks_as_shards_of_all_members_are_right() -> None:
    check(made(4, data=DataConfig(files=["a.h5"], shards=2)), 8, "auto")


def test_who_was_stopped_can_go_on_whatever_became_of_others() -> None:
    stopped, failed, wrong = Failure(0, 85, "stopped"), Failure(1, 1, "full"), Failure(2, 2, "bad")
    with pytest.raises(Stopped, match="member 0: stopped; member 1: full"):
        raise_failures([stopped, failed], 4)
    with pytest.raises(RunError, match="2 of 4 members have failed: member 1: full; member 2: bad"):
        raise_failures([failed, wrong], 4)
    with pytest.raises(ConfigError, match="1 of 4 members have failed: member 2: bad"):
        raise_failures([wrong], 4)
    raise_failures([], 4)


def test_each_member_goes_to_the_crew_that_is_done_first() -> None:
    assert shares(8, [1.0, 1.0, 1.0, 1.0]) == [2, 2, 2, 2]
    assert shares(8, [2.0, 1.0, 1.0, 1.0]) == [1, 3, 2, 2]
    assert shares(8, [9.0, 1.0, 1.0, 1.0]) == [0, 3, 3, 2]


def test_few_members_change_places() -> None:
    now = [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert rebalanced(now, [9.0, 1.0, 1.0, 1.0]) == [[], [0, 2, 3], [1, 4, 5], [6, 7]]


def test_members_stay_where_little_would_be_won() -> None:
    now = [[0, 1], [2, 3]]
    assert rebalanced(now, [1.05, 1.0]) == now
    assert rebalanced([[0], [1, 2, 3]], [1.0, 1.0]) == [[0, 3], [1, 2]]


def test_members_that_divide_the_data_have_a_part_each() -> None:
    config = made(3, population=PopulationConfig(data="divided"))
    assert [config_of(config, member).data.part for member in range(3)] == [[0, 3], [1, 3], [2, 3]]
    assert config_of(made(3), 1).data.part is None


def test_the_checkpoint_before_a_tournament_stays() -> None:
    few, many = (
        made(2, tournament=TournamentConfig(every=5), checkpoint=CheckpointConfig(keep=keep))
        for keep in (1, 4)
    )
    assert config_of(few, 0).checkpoint.keep == 2
    assert config_of(many, 0).checkpoint.keep == 4
