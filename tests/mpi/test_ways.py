"""What every way of training must hold, on any number of ranks: see ``ways``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf

from hpcgan import checkpoint
from hpcgan.data import shards
from hpcgan.errors import RunError
from hpcgan.gan import noise
from hpcgan.gan.state import State
from hpcgan.parallel import making, placing
from hpcgan.parallel.timer import CollectiveTimer
from hpcgan.training.replica_check import ReplicaCheck
from hpcgan.training.sharing import Sharing
from tests.mpi import ways
from tests.mpi.small_runs import SHARDS, check_same, train, variables, write_config
from tests.mpi.ways import RATES, WAYS, Trained, configure

_SYNCHRONOUS = WAYS["synchronous"]
# One of each kind.
_KINDS = [WAYS[name] for name in ("synchronous", "split", "local discriminators")]


def _each(ways_of_training):
    """Return a mark that has a test run with some ways of training."""
    names = [name for name, way in WAYS.items() if way in ways_of_training]
    return pytest.mark.parametrize("way", [WAYS[name] for name in names], ids=names)


def _is_possible(world, way):
    """Return whether there are ranks enough for a way of training."""
    return world.size >= way.least


@pytest.fixture(autouse=True)
def _simple(monkeypatch):
    """Have little to compile."""
    _simplify(monkeypatch, is_measured=False)


def _simplify(patch, is_measured):
    """Have loops instead of a copy for each batch; and measure the gradients' noise often, or not.

    The sums are the same, and there is less to compile.
    """
    patch.setattr("hpcgan.gan.batches.UNROLLED", 1)
    patch.setattr("hpcgan.gan.noise_scale.is_measured", lambda *_: is_measured)
    patch.setattr("hpcgan.gan.noise_scale.EVERY", MEASURED)


# --- which networks are trained --------------------------------------------------------------


# Those that take long to compile, which is done on two ranks alone: what else there is to them is
# in the networks and losses, and not in how shards are hosted.
SLOW = {"resnet hinge", "wgan-gp", "accumulated", "conditional", "synchronised"}
MEASURED = 4  # steps from one measurement of the gradients' noise to the next
# In them it is measured: of several shards of a rank it has as much to compile again.
WITH_NOISE = {"mlp", "mlp alternating"}
# Each way in each of its cases.
COMPARED = [
    (name, case)
    for name, way in WAYS.items()
    for case in way.cases
    if ways.RANKS == 2 or case not in SLOW
]


@pytest.fixture(scope="module")
def references(world):
    """Return tables and networks of one rank alone, by way, case and optimizer.

    Each rank makes some of them, and gives them to all, and to the next numbers of ranks.
    """
    if world.size == 1:
        return {}  # there is nothing to compare with
    kept = os.environ.get("HPCGAN_TEST_REFERENCES")  # of ``tests/run.py``
    if world.on_root(lambda: bool(kept and Path(kept).exists())):
        return json.loads(Path(kept).read_text())
    own = {}
    with pytest.MonkeyPatch.context() as patch:
        for number, (name, case) in enumerate(COMPARED):
            if number % world.size == world.rank:
                _simplify(patch, case in WITH_NOISE)
                trained = Trained(case, WAYS[name].reference, ways.reference)
                own[f"{name}/{case}"] = {n: [a.tolist() for a in trained.run(n)] for n in RATES}
    found = {case: by_name for each in world.gather_json(own) for case, by_name in each.items()}
    if kept and world.is_root:
        Path(kept).write_text(json.dumps(found))
    world.barrier()
    return found


@pytest.fixture(scope="module")
def trained(ring, world) -> Callable[[str, str], Trained]:
    """Return a function that makes the networks of a case and what trains them, once."""
    made: dict[tuple[str, str], Trained] = {}

    def give(name: str, case: str) -> Trained:
        if (name, case) not in made:
            made.clear()
            way = WAYS[name]
            make = lambda *given: way.strategy(ring, world, *given)  # noqa: E731
            place = placing.of(configure(case, options=way.options), world.size)
            made[name, case] = Trained(case, way.options, make, place, world.rank)
        return made[name, case]

    return give


@pytest.mark.parametrize(("optimizer", "bound"), [("sgd", 1e-5), ("adam", 1e-3)])
@pytest.mark.parametrize(("name", "case"), COMPARED)
def test_any_number_of_ranks_trains_the_same_networks_as_one(
    world, trained, references, monkeypatch, name, case, optimizer, bound
):
    if world.size == 1:
        return  # it is the reference, which more ranks make
    _simplify(monkeypatch, case in WITH_NOISE)
    table, networks = trained(name, case).run(optimizer, world=world)
    total = float(np.sum(networks, dtype=np.float64))
    assert world.gather_json(total) == [total] * world.size
    expected_table, expected = map(np.array, references[f"{name}/{case}"][optimizer])
    np.testing.assert_allclose(table, expected_table, rtol=1e-3, atol=1e-5)
    # The noise of gradients, of both networks.
    steps = np.arange(len(table)) % MEASURED == MEASURED - 1
    is_measured = steps & (case in WITH_NOISE)
    np.testing.assert_array_equal(table[:, 2:] > 0, np.tile(is_measured[:, np.newaxis], 4))
    assert ways.relative_difference(networks, expected) < bound


@pytest.mark.parametrize(("case", "rank"), [("mlp", 0), ("dcgan", 1)])
def test_another_seed_of_one_shard_would_be_seen(world, monkeypatch, case, rank):
    """What the test before compares depends on the noise of each shard."""
    if world.size > 2 or world.rank != rank % world.size:
        return
    streams = noise.streams

    def with_an_odd_one(seed, batches, shards):
        seeds = [seed + (shard == 2) for shard in shards]
        own = [streams(s, batches, shards[i : i + 1]) for i, s in enumerate(seeds)]
        return tf.concat(own, 0)

    _, networks = Trained(case, {}, ways.reference).run("sgd")
    monkeypatch.setattr(noise, "streams", with_an_odd_one)
    _, odd = Trained(case, {}, ways.reference).run("sgd")
    assert ways.relative_difference(odd, networks) > 1e-4


# --- what all ranks decide alike -------------------------------------------------------------


def _made(world, way, ring, case, dtype):
    """Return the networks of a case and the strategy that trains them."""
    config = configure(case, options=way.options)
    state = State(config, (8, 8, 1))
    return state, way.strategy(ring, world, config, state, dtype)


def _zeros(world, way, steps, per_step, dtype):
    place = placing.of(configure("mlp", options=way.options), world.size)
    return np.zeros((steps, len(place.read(world.rank)), per_step, 8, 8, 1), dtype)


@_each(_KINDS)
def test_a_bad_number_of_one_rank_leaves_the_update_out_on_all(world, way, ring):
    if not _is_possible(world, way):
        return
    state, strategy = _made(world, way, ring, "mlp", "float32")
    before = state.arrays()
    samples = _zeros(world, way, 1, 6, np.float32)
    bad = samples.copy()
    if world.rank == world.size - 1:
        bad[0, -1, 2, 3, 4, 0] = np.nan
    report = strategy.run(tf.constant(bad), tf.constant(0, tf.int64))
    assert report.skipped.numpy()[0] > 0
    for group, named in state.arrays().items():
        if group.startswith(way.unmoved):
            for name, array in named.items():
                assert np.array_equal(array, before[group][name])
    good = strategy.run(tf.constant(samples), tf.constant(1, tf.int64))
    assert (good.skipped.numpy().tolist(), good.stop.numpy().tolist()) == ([0], [0])
    assert np.isfinite(good.losses).all()


@_each(_KINDS)
def test_one_rank_that_wants_to_stop_is_heard_by_all(world, way, ring):
    if not _is_possible(world, way):
        return
    _, strategy = _made(world, way, ring, "mlp alternating", "uint8")
    samples = tf.constant(_zeros(world, way, 2, 12, np.uint8))
    assert not strategy.run(samples, tf.constant(0, tf.int64)).stop.numpy().any()
    if world.rank == world.size - 1:
        strategy.request_stop()
    assert (strategy.run(samples, tf.constant(2, tf.int64)).stop.numpy() > 0).all()


def test_a_rank_whose_networks_drift_is_named(world, ring):
    way = _SYNCHRONOUS
    state, strategy = _made(world, way, ring, "mlp", "uint8")
    check = ReplicaCheck(world, state, 10, Sharing(world, state, strategy))
    strategy.run(tf.constant(_zeros(world, way, 3, 6, np.uint8)), tf.constant(0, tf.int64))
    state.step = 20
    check.check()  # all have trained the same
    state.step = 30
    if world.rank == 1:
        bias = state.discriminators[0].trainable_variables[1]
        bias.assign(bias + 1e-7)
    if world.size == 1:
        check.check()
        return
    named = r"^after step 30 the networks of rank 1 on .* differ"
    with pytest.raises(RunError, match=named) as caught:
        check.check()
    assert caught.value.on_all_ranks
    # What was written after step 20 may have come of it.
    assert "from a checkpoint of step 20 or before" in str(caught.value)


# --- whole runs ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "model", "half"),
    [
        (WAYS["synchronous"], "mlp", 50),
        (WAYS["synchronous"], "dcgan", 5),
        (WAYS["split"], "dcgan", 5),
        (WAYS["split, looking back by 3"], "mlp", 5),
        (WAYS["local discriminators"], "dcgan", 5),
    ],
    ids=lambda value: value if isinstance(value, str | int) else "",
)
def test_a_run_stopped_and_resumed_ends_as_one_that_never_stopped(
    world, way, shared_path, model, half
):
    if not _is_possible(world, way):
        return
    if world.size != 2 and model == "dcgan":
        return  # the MLP's runs do on others; the DCGAN takes long to compile
    config = write_config(
        world,
        shared_path,
        model={"name": model, "latent_dim": 6, "width": 4},
        train={"steps": 2 * half, "batch_size": 5},
        checkpoint={"every_steps": half},
        log={"every_steps": half},
    )
    train(world, config, shared_path / "whole", *way.words)
    train(world, config, shared_path / "parts", *way.words, f"--train.steps={half}")
    train(world, config, shared_path / "parts", *way.words)
    check_same(*(variables(world, shared_path / name, 2 * half) for name in ("parts", "whole")))
    if world.is_root:
        text = (shared_path / "parts" / "metrics.jsonl").read_text()
        assert [json.loads(line)["step"] for line in text.splitlines()] == [half, 2 * half]


def test_a_division_that_was_timed_stays(world, shared_path):
    if world.size < 2:
        return
    config = write_config(world, shared_path, checkpoint={"every_steps": 2})
    for last in (2, 4):
        train(world, config, shared_path / "run", "--parallel.mode=split", f"--train.steps={last}")
    first, second = (
        world.on_root(lambda step=step: checkpoint_of(shared_path / "run", step)) for step in (2, 4)
    )
    assert first == second
    assert 0 < first < world.size


def checkpoint_of(run_dir, step):
    """Return the ranks for G that a checkpoint names."""
    found = checkpoint.read(checkpoint.path_of(run_dir / "checkpoints", step))
    return found.config.parallel.generator_ranks


def test_losses_that_are_not_finite_stop_all_ranks(world, shared_path):
    way = _SYNCHRONOUS
    config = write_config(world, shared_path)
    options = [*way.words, "--optimizer.generator.learning_rate=1e30"]
    # A line only at the end: what is not finite must be seen before a checkpoint is made of it.
    options += ["--train.steps=100", "--log.every_steps=100", "--checkpoint.keep=1"]
    with pytest.raises(RunError, match=r"of step \d+ are not finite") as caught:
        train(world, config, shared_path / "run", *options)
    assert caught.value.on_all_ranks
    if world.is_root:
        kept, _ = checkpoint.newest(shared_path / "run" / "checkpoints")
        assert kept is not None
        assert kept.step < 10


def _write_bad_sample(world, directory, steps):
    """Write data with a sample that is too large, used in a step of the middle; return the step.

    The data have a hundred samples per shard, so that it is used once.
    """

    def write():
        rng = np.random.default_rng(3)
        images = rng.uniform(-1, 1, (100 * SHARDS, 8, 8, 1)).astype(np.float32)
        order = shards.epoch_order(0, 2, 0, 100)
        images[200 + order[5 * (steps // 2) + 3]] = 3e38  # the networks overflow
        with h5py.File(directory / "data.h5", "w") as file:
            file["images"] = images

    world.on_root(write)
    return steps // 2


@_each(_KINDS)
def test_a_run_goes_back_to_its_checkpoint_and_passes_bad_samples_by(world, way, shared_path):
    if not _is_possible(world, way):
        return
    if world.size != 2 and way is not _SYNCHRONOUS:
        return  # it takes three runs, and what goes back is the same in each way
    config = write_config(world, shared_path)
    bad = _write_bad_sample(world, shared_path, 15)
    options = [*way.words, "--train.steps=15", "--checkpoint.every_steps=3"]
    options += ["--watch.nonfinite=rollback", "--log.every_steps=1"]
    train(world, config, shared_path / "whole", *options)
    # The checkpoint of step 9 is made after the run has gone back.
    train(world, config, shared_path / "parts", *options, "--train.steps=9")
    train(world, config, shared_path / "parts", *options)
    if way is _SYNCHRONOUS:  # what is said does not depend on the way
        said = r"step 8 are not finite, and the run has gone back 0 times"
        with pytest.raises(RunError, match=said):
            train(world, config, shared_path / "none", *options, "--watch.rollbacks=0")
    if not world.is_root:
        return
    whole = checkpoint.read(checkpoint.path_of(shared_path / "whole" / "checkpoints", 15))
    # Gone back from the end of step 8 to step 6: two updates were lost.
    assert (bad, whole.rollbacks, whole.discarded) == (7, 1, 2)
    text = (shared_path / "whole" / "history.jsonl").read_text()
    events = [json.loads(line) for line in text.splitlines()]
    assert [(each["event"], each["step"]) for each in events] == [
        ("started", 0),
        ("rolled back", 6),
        ("finished", 15),
    ]
    lines = (shared_path / "whole" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 16))
    check_same(*(variables(world, shared_path / name, 15) for name in ("parts", "whole")))


@_each(_KINDS)
@pytest.mark.parametrize("case", ["synchronised", "mlp alternating"])
def test_all_ranks_time_as_many_sums(world, ring, way, case):
    """The step breakdown compares them one by one."""
    if not _is_possible(world, way) or (case == "synchronised" and "discriminators" in str(way)):
        return
    if world.size > 2 and case in SLOW:
        return
    config, timer = configure(case, options=way.options), CollectiveTimer()
    group = world.split(making.group_of(config, world))
    state = State(config, (8, 8, 1))
    strategy = making.from_ring(ring, world, group, config, state, "uint8", timer)
    per_step = 6 * config.train.discriminator_steps
    samples = _zeros(world, way, 2, per_step, np.uint8)
    strategy.run(tf.constant(samples), tf.constant(0, tf.int64))
    assert len(set(world.gather_json(timer.count()))) == 1
