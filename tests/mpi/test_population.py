"""A population on any number of ranks: its members are the runs that they would be alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hpcgan import checkpoint
from hpcgan.errors import Diverged, RunError
from hpcgan.training import members, plan, population
from hpcgan.training.stop import Request
from tests.mpi.small_runs import check_same, train, variables, write_config

MEMBERS = {1: 2, 2: 3, 3: 4, 4: 4}  # by the number of ranks


def train_all(world, config, run_dir, *options, resume="auto"):
    """Train a population as ``hpcgan train`` does."""
    decided, run_dir = plan.configure(world, config, list(options), run_dir)
    population.train(world, decided, run_dir, resume, False, Request(None, {}))


def written(world, place):
    """Write a configuration whose shards are left to the population."""
    return write_config(world, place, data={"files": [str(place / "data.h5")]})


def test_members_are_the_runs_that_they_would_be_alone(world, shared_path):
    number = MEMBERS[world.size]
    config = written(world, shared_path)
    vary = f"{{train.ema: {[0.1, 0.2, 0.3, 0.4][:number]}}}"
    options = [f"--population.vary={vary}", f"--parallel.population={number}"]
    # Stopped in the middle, which is another number of steps to this one.
    train_all(world, config, shared_path / "all", *options, "--train.steps=5")
    train_all(world, config, shared_path / "all", *options)
    alone = world.part(world.rank)
    for member in range(world.rank, number, world.size):
        words = [f"--seed={member}", "--data.shards=1", f"--train.ema={(member + 1) / 10}"]
        train(alone, config, shared_path / f"alone_{member}", *words)
    world.barrier()
    for member in range(number):
        places = (shared_path / "all" / f"member_{member}", shared_path / f"alone_{member}")
        check_same(*(variables(world, place, 10) for place in places))


def test_several_ranks_train_a_member_together(world, shared_path):
    if world.size != 3:
        return  # one has two ranks, the other one
    config = written(world, shared_path)
    words = ["--parallel.population=2", "--data.shards=2"]
    train_all(world, config, shared_path / "all", *words)
    number = next(c.number for c in members.crews(2, world.size) if world.rank in c.ranks)
    crew = world.part(number)
    train(crew, config, shared_path / f"alone_{number}", f"--seed={number}", "--data.shards=2")
    world.barrier()
    for member in range(2):
        places = (shared_path / "all" / f"member_{member}", shared_path / f"alone_{member}")
        check_same(*(variables(world, place, 10) for place in places))


def test_what_fails_in_one_does_not_end_the_others(world, shared_path):
    if world.size != 2:
        return  # two take turns, and others go on beside them
    config = written(world, shared_path)

    def stand_in_the_way():
        (shared_path / "all").mkdir()
        (shared_path / "all" / "member_1").write_text("no directory")

    world.on_root(stand_in_the_way)
    with pytest.raises(RunError, match="1 of 4 members have failed: member 1: ") as caught:
        train_all(world, config, shared_path / "all", "--parallel.population=4")
    assert caught.value.on_all_ranks
    for member in (0, 2, 3):
        variables(world, shared_path / "all" / f"member_{member}", 10)


RATE = "optimizer.generator.learning_rate"


@pytest.mark.parametrize(
    ("sizes", "rules"),
    [
        ((1, 4), ("select=pairs", "judge=frechet", "take=generator")),
        ((2,), ("select=truncation", "judge=frechet", "take=both")),
        ((3,), ("select=pairs", "judge=discriminator", "take=both")),
    ],
)
def test_tournaments_are_the_same_on_any_number_of_ranks(world, shared_path, sizes, rules):
    """Against one rank that trains all in turn; on one, a start in the middle against none."""
    if world.size not in sizes:
        return
    config = written(world, shared_path)
    vary = f"{{train.ema: [0.1, 0.2, 0.3, 0.4, 0.5], {RATE}: [0.01, 0.001, 0.0001, 0, 0.1]}}"
    options = [f"--population.vary={vary}", "--parallel.population=5"]
    options += [
        "--tournament.every=4",
        "--tournament.samples=16",
        *(f"--tournament.{r}" for r in rules),
    ]
    here = [] if world.size > 1 else ["--train.steps=5"]
    train_all(world, config, shared_path / "all", *options, *here)
    train_all(world, config, shared_path / "all", *options)
    alone = world.part(int(not world.is_root))
    if world.is_root:
        train_all(alone, config, shared_path / "alone", *options)
    world.barrier()
    places = (shared_path / "all", shared_path / "alone")
    for member in range(5):
        check_same(*(variables(world, place / f"member_{member}", 10) for place in places))
    if world.is_root:
        lines = [(place / "tournaments.jsonl").read_text() for place in places]
        assert lines[0] == lines[1]
        assert [json.loads(each)["step"] for each in lines[0].splitlines()] == [4, 8]
        assert any(json.loads(each)["took"] for each in lines[0].splitlines())


def test_the_worse_gets_the_generator_of_the_better(world, shared_path):
    """Bit for bit, with the average and the moments of Adam; its discriminator stays."""
    config = written(world, shared_path)
    options = ["--parallel.population=2", "--data.shards=2", "--train.steps=6", "--train.ema=0.5"]
    options.append(f"--population.vary={{{RATE}: [0, 0.01]}}")
    train_all(world, config, shared_path / "without", *options)
    options += ["--tournament.every=6", "--tournament.samples=16"]
    train_all(world, config, shared_path / "with", *options)
    if not world.is_root:
        return
    line = json.loads((shared_path / "with" / "tournaments.jsonl").read_text())
    worse, better = sorted((0, 1), key=lambda member: -line["scores"][member])
    assert sorted(line["pairs"][0]) == [0, 1]
    assert (line["round"], line["step"]) == (1, 6)
    assert line["took"] == [{"member": worse, "from": better}]
    taken, given = (
        variables(world, shared_path / "with" / f"member_{m}", 6) for m in (worse, better)
    )
    without = [variables(world, shared_path / "without" / f"member_{m}", 6) for m in (0, 1)]
    is_of_g = {name: name.startswith("generator") for name in taken}
    assert {name.split("/")[0] for name, is_g in is_of_g.items() if is_g} == {
        "generator",
        "generator_ema",
        "generator_optimizer",
    }
    of_giver = {name: array for name, array in without[better].items() if is_of_g[name]}
    check_same(taken, {**without[worse], **of_giver})
    check_same(given, without[better])
    values = [{RATE: 0.0}, {RATE: 0.01}]
    if worse == 1:
        assert line["values"][1][RATE] in (0.008, 0.0125)
        values[1] = line["values"][1]
    assert line["values"] == values
    path = checkpoint.path_of(shared_path / "with" / f"member_{worse}" / "checkpoints", 6)
    found = checkpoint.read(path)
    assert (found.values, found.round) == (values[worse], 1)


def test_who_diverges_waits_and_takes(world, shared_path):
    if world.size != 2:
        return
    config = written(world, shared_path)
    options = ["--parallel.population=3", "--tournament.every=5", "--tournament.samples=16"]
    options += ["--train.ema=0.9", "--model.name=dcgan", "--model.width=4", "--train.steps=15"]
    vary = "{optimizer.discriminator.learning_rate: [1.0e+38, 0.001, 0.002]}"
    options.append(f"--population.vary={vary}")
    options += ["--tournament.select=truncation", "--tournament.take=both"]
    train_all(world, config, shared_path / "all", *options)
    if world.is_root:
        text = (shared_path / "all" / "tournaments.jsonl").read_text()
        first = json.loads(text.splitlines()[0])
        assert first["scores"][0] is None
        assert first["took"] == [{"member": 0, "from": first["pairs"][0][1]}]
        assert first["values"][0]["optimizer.discriminator.learning_rate"] < 1
    vary = "{optimizer.discriminator.learning_rate: [1.0e+38, 1.0e+38, 1.0e+38]}"
    options.append(f"--population.vary={vary}")
    with pytest.raises(Diverged, match="all members have diverged by step 5"):
        train_all(world, config, shared_path / "none", *options)


def test_members_that_divide_the_data_see_a_part_each(world, shared_path):
    if world.size > 2:
        return
    config = written(world, shared_path)
    words = ["--parallel.population=2", "--population.data=divided", "--data.shards=2"]
    train_all(world, config, shared_path / "all", *words)
    alone = ["--seed=1", "--data.shards=2", "--data.part=[1, 2]"]
    part = world.part(int(world.rank > 1))  # 2 shards, and as many ranks at most
    if world.rank < 2:
        train(part, config, shared_path / "alone", *alone)
    world.barrier()
    places = (shared_path / "all" / "member_1", shared_path / "alone")
    ours, theirs = (variables(world, place, 10) for place in places)
    for name, array in theirs.items():  # on other ranks the sums have another order
        np.testing.assert_allclose(ours[name], array, rtol=1e-4, atol=1e-6, err_msg=name)
