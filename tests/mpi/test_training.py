"""Training on any number of ranks: equal to one rank, and to itself after a stop."""

from __future__ import annotations

import json
import re

import h5py
import numpy as np
import pytest

from hpcgan import checkpoint, generate
from hpcgan.config import (
    Config,
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    OptimizersConfig,
    TrainConfig,
)
from hpcgan.data import shards
from hpcgan.errors import ConfigError, RunError
from hpcgan.all_reduce import identity
from hpcgan.pictures import to_dtype
from hpcgan.training import directory, plan
from hpcgan.training.stop import Request

_SHARDS = 4
_SAMPLES = 86  # shards of 21 and 22


def _data(path):
    rng = np.random.default_rng(3)
    with h5py.File(path, "w") as file:
        file["images"] = rng.integers(0, 256, (_SAMPLES, 8, 8, 1), np.uint8)
        file["labels"] = np.arange(_SAMPLES) % 3


def _write_config(world, directory, **sections):
    """Write data and a config to the shared directory; returns the config's path."""

    def write():
        _data(directory / "data.h5")
        content = {
            "data": {"files": [str(directory / "data.h5")], "shards": _SHARDS},
            "model": {"latent_dim": 6},
            "train": {"steps": 10, "batch_size": 5},
            "checkpoint": {"every_steps": 5, "keep": 10},
            "log": {"every_steps": 5},
            **sections,
        }
        # JSON is YAML.
        (directory / "config.yaml").write_text(json.dumps(content))

    world.on_root(write)
    return str(directory / "config.yaml")


def _train(world, config, run_dir, *overrides, resume="auto"):
    from hpcgan.training import loop

    decided, run_dir = plan.configure(world, config, list(overrides), run_dir)
    with directory.held(world, decided, run_dir, resume, environment={}) as run:
        loop.train(world, run, Request(None, {}))


def _final(world, run_dir, step):
    """Return all variables of a checkpoint on rank 0 as one mapping, None on others."""
    if not world.is_root:
        return None
    groups = checkpoint.read(checkpoint.path_of(run_dir / "checkpoints", step)).groups
    return {f"{group}/{name}": a for group, named in groups.items() for name, a in named.items()}


# Each case: the sections of a configuration. Samples are 8x8, for resnet 16x16.
_CASES = {
    "mlp": {},
    "mlp alternating": {
        "loss": {"name": "minimax"},
        "train": {"update": "alternating", "rounds": 2},
    },
    "dcgan": {"model": {"name": "dcgan"}},
    "resnet hinge": {"model": {"name": "resnet", "attention": True}, "loss": {"name": "hinge"}},
    "wgan-gp": {
        "model": {"name": "dcgan"},
        "loss": {"name": "wasserstein"},
        "train": {"update": "alternating"},
    },
    "conditional": {"model": {"name": "dcgan", "condition": "projection", "classes": 3}},
    "accumulated": {
        "model": {"name": "dcgan"},
        "train": {"accumulate": 2, "ema": 0.9, "augment": ["color", "translation", "cutout"]},
    },
    "synchronised": {"model": {"name": "dcgan", "normalisation": "synchronised"}},
}


def _config(case, optimizer):
    sections = _CASES[case]
    train = dict(sections.get("train", {}))
    rates = {"adam": 2e-4, "sgd": 0.005}
    one = OptimizerConfig(name=optimizer, learning_rate=rates[optimizer])
    return Config(
        data=DataConfig(files=["unused"], shards=_SHARDS),
        model=ModelConfig(**{"latent_dim": 6, "width": 4, **sections.get("model", {})}),
        loss=LossConfig(**sections.get("loss", {})),
        optimizer=OptimizersConfig(one, one),
        train=TrainConfig(batch_size=6, discriminator_steps=train.pop("rounds", 1), **train),
    )


def _run_updates(config, hosted, exchange, steps=10):
    """Return losses and weights after some updates of the hosted shards' fixed batches.

    Another order of summation makes differences of 5e-8 in ten steps of gradient descent. In twenty
    it may have a number cross the kink of a ReLU or a hinge, and 2e-5 come of that (seen with the
    resnet).
    """
    import tensorflow as tf

    from hpcgan.gan.state import State
    from hpcgan.parallel.synchronous import Synchronous

    side = 16 if config.model.name == "resnet" else 8
    state = State(config, (side, side, 1))
    per_step = config.train.batch_size * config.train.discriminator_steps
    generators = [np.random.default_rng(shard) for shard in hosted]
    shape = (steps, per_step, side, side, 1)
    batches = np.stack([rng.integers(0, 256, shape, np.uint8) for rng in generators], axis=1)
    given = [tf.constant(batches), tf.constant(0, tf.int64)]
    if config.model.condition != "none":
        labels = [rng.integers(0, 3, (steps, per_step)) for rng in generators]
        given.append(tf.constant(np.stack(labels, axis=1).astype(np.int32)))
    update = Synchronous(config, state, "uint8", hosted, exchange)
    losses = update.run(*given).losses.numpy()
    return losses, {
        f"{group}/{name}": array
        for group, named in state.arrays().items()
        for name, array in named.items()
    }


def _relative_difference(ours, reference):
    """Return the relative L2 difference of two sets of variables."""
    a, b = (
        np.concatenate([each[name].ravel() for name in reference]) for each in (ours, reference)
    )
    return np.linalg.norm(a.astype(np.float64) - b) / np.linalg.norm(b)


def _networks(weights):
    """Return the weights of the networks, without the optimizers' variables."""
    return {name: array for name, array in weights.items() if "optimizer" not in name}


@pytest.mark.parametrize(
    ("case", "optimizer"),
    [(case, optimizer) for optimizer in ("sgd", "adam") for case in _CASES],
)
def test_any_number_of_ranks_trains_the_same_networks_as_one(
    world, ring, monkeypatch, case, optimizer
):
    # Loops instead of a copy for each shard: the same sums, in less time to compile.
    monkeypatch.setattr("hpcgan.gan.step.UNROLLED", 1)
    config = _config(case, optimizer)
    hosted = shards.hosted_shards(_SHARDS, world.size, world.rank)
    losses, weights = _run_updates(config, hosted, ring)
    sums = {name: float(np.sum(array, dtype=np.float64)) for name, array in weights.items()}
    assert world.gather_json(sums) == [sums] * world.size
    if not world.is_root or world.size == 1:
        return
    # Rank 0 makes the reference, hosting all shards and talking to no one.
    expected_losses, expected = _run_updates(config, range(_SHARDS), identity)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-3, atol=1e-5)
    bound = {"sgd": 1e-5, "adam": 1e-3}[optimizer]
    assert _relative_difference(_networks(weights), _networks(expected)) < bound


@pytest.mark.parametrize("case", ["mlp", "dcgan"])
def test_another_seed_of_one_shard_is_seen_in_the_weights(world, monkeypatch, case):
    """What the test before compares does tell: other noise of one shard of four is seen."""
    import tensorflow as tf

    from hpcgan.gan import noise

    streams = noise.streams

    def with_an_odd_one(seed, turns, shards):
        seeds = [seed + (shard == 2) for shard in shards]
        own = [streams(s, turns, shards[i : i + 1]) for i, s in enumerate(seeds)]
        return tf.concat(own, 0)

    monkeypatch.setattr("hpcgan.gan.step.UNROLLED", 1)
    if world.is_root:
        config = _config(case, "sgd")
        _, expected = _run_updates(config, range(_SHARDS), identity)
        monkeypatch.setattr(noise, "streams", with_an_odd_one)
        _, odd = _run_updates(config, range(_SHARDS), identity)
        assert _relative_difference(_networks(odd), _networks(expected)) > 1e-4


def test_samples_and_latents_of_every_shard_do_not_depend_on_the_ranks(world, shared_path):
    import tensorflow as tf

    from hpcgan.data.placement import opened_shards
    from hpcgan.data.prefetcher import Prefetcher
    from hpcgan.gan import noise

    path = _write_config(world, shared_path)
    run = plan.prepare(world, path, [], shared_path / "run", "auto")
    with opened_shards(world, run.config, run.source, run.assignment) as own:
        batches = list(Prefetcher(own.values(), 5, (8, 8, 1), "uint8").batches([(0, 7), (7, 4)]))
    samples = np.concatenate([batch.numpy() for batch in batches]).swapaxes(0, 1)

    def drawn(stream):
        return noise.latents(noise.batch_keys(stream, tf.constant(9, tf.int64), 0, 1).latents, 5, 6)

    latents = [drawn(each) for each in noise.streams(run.config.seed, 1, run.assignment.hosted)]
    samples, latents = world.gather_arrays(samples), world.gather_arrays(np.stack(latents))
    if not world.is_root:
        return
    with h5py.File(shared_path / "data.h5") as file:
        images = file["images"][:]
    for shard in range(_SHARDS):
        begin, end = (_SAMPLES * s // _SHARDS for s in (shard, shard + 1))
        orders = [shards.epoch_order(0, shard, epoch, end - begin) for epoch in range(4)]
        places = np.concatenate(orders)[: 11 * 5].reshape(11, 5)
        assert np.array_equal(samples[shard], images[begin:end][places])
        assert np.array_equal(latents[shard], drawn(noise.streams(0, 1, range(_SHARDS))[shard]))


def test_gradients_sent_in_half_precision_train_about_the_same_networks(world, shared_path):
    sgd = {"name": "sgd", "learning_rate": 0.005}
    config = _write_config(world, shared_path, optimizer={"generator": sgd, "discriminator": sgd})
    _train(world, config, shared_path / "whole")
    start = _networks_of(world, shared_path / "whole", 0)
    whole = _networks_of(world, shared_path / "whole", 10)
    for compression in ("fp16", "bf16"):
        run = shared_path / compression
        _train(world, config, run, f"--parallel.compression={compression}")
        half = _networks_of(world, run, 10)
        if world.is_root:
            moved = _relative_difference(whole, start)
            assert _relative_difference(half, whole) < 0.02 * moved
            assert np.array_equal(*map(_joined, (half, whole))) == (world.size == 1)


def _networks_of(world, run_dir, step):
    found = _final(world, run_dir, step)
    return None if found is None else _networks(found)


def _joined(weights):
    return np.concatenate([weights[name].ravel() for name in sorted(weights)])


def test_a_conditional_run_learns_and_makes_the_labels_it_is_asked_for(world, shared_path):
    model = {"name": "dcgan", "latent_dim": 6, "width": 4, "condition": "projection"}
    config = _write_config(world, shared_path, model=model)
    overrides = ["--data.labels=labels", "--data.partition=balanced"]
    _train(world, config, shared_path / "run", *overrides)
    path = checkpoint.path_of(shared_path / "run" / "checkpoints", 10)
    found = checkpoint.read_together(world, lambda: checkpoint.read(path))
    assert found.config.model.classes == 3
    drawn = [generate.sample(world, found, 9, 0, label) for label in (None, 2)]
    if world.is_root:
        (in_turn, labels), (twos, all_two) = drawn
        assert labels.tolist() == [0, 1, 2] * 3
        assert all_two.tolist() == [2] * 9
        same = [np.array_equal(one, two) for one, two in zip(in_turn, twos, strict=True)]
        assert same == [False, False, True] * 3
    generate.generate(world, path, 5, shared_path / "samples.h5")
    if world.is_root:
        with h5py.File(shared_path / "samples.h5") as file:
            assert file["images"].shape == (5, 8, 8, 1)
            assert file["labels"][:].tolist() == [0, 1, 2, 0, 1]
    with pytest.raises(ConfigError, match=r"--label 3: the labels of .* are 0 to 2"):
        generate.generate(world, path, 5, shared_path / "samples.h5", label=3)


def test_a_bad_number_of_one_rank_leaves_the_update_out_on_all(world, ring):
    import tensorflow as tf

    from hpcgan.gan.state import State
    from hpcgan.parallel.synchronous import Synchronous

    config = _config("mlp", "adam")
    hosted = shards.hosted_shards(_SHARDS, world.size, world.rank)
    state = State(config, (8, 8, 1))
    before = state.arrays()
    samples = np.zeros((1, len(hosted), 6, 8, 8, 1), np.float32)
    if world.rank == world.size - 1:
        samples[0, -1, 2, 3, 4, 0] = np.nan
    update = Synchronous(config, state, "float32", hosted, ring)
    report = update.run(tf.constant(samples), tf.constant(0, tf.int64))
    assert report.skipped.numpy().tolist() == [1]
    for group, named in state.arrays().items():
        for name, array in named.items():
            assert np.array_equal(array, before[group][name])
    good = update.run(tf.constant(np.zeros_like(samples)), tf.constant(1, tf.int64))
    assert (good.skipped.numpy().tolist(), good.stop.numpy().tolist()) == ([0], [0])
    assert np.isfinite(good.losses).all()


def test_one_rank_that_wants_to_stop_is_heard_by_all(world, ring):
    import tensorflow as tf

    from hpcgan.gan.state import State
    from hpcgan.parallel.synchronous import Synchronous

    config = _config("mlp alternating", "adam")
    hosted = shards.hosted_shards(_SHARDS, world.size, world.rank)
    update = Synchronous(config, State(config, (8, 8, 1)), "uint8", hosted, ring)
    samples = tf.zeros((2, len(hosted), 12, 8, 8, 1), tf.uint8)
    assert not update.run(samples, tf.constant(0, tf.int64)).stop.numpy().any()
    if world.rank == world.size - 1:
        update.request_stop()
    assert (update.run(samples, tf.constant(2, tf.int64)).stop.numpy() > 0).all()


def test_a_rank_whose_networks_drift_is_named(world):
    from hpcgan.gan.state import State
    from hpcgan.training.watch import compare_ranks

    state = State(_config("mlp", "adam"), (8, 8, 1))
    state.step = 30
    compare_ranks(world, state, 20)
    if world.rank == 1:
        bias = state.discriminator.trainable_variables[1]
        bias.assign(bias + 1e-7)
    if world.size == 1:
        return
    with pytest.raises(
        RunError, match=r"^after step 30 the networks of rank 1 on .* differ"
    ) as caught:
        compare_ranks(world, state, 20)
    assert caught.value.on_all_ranks
    # What was written after step 20 may have come of it.
    assert "from a checkpoint of step 20 or before" in str(caught.value)


@pytest.mark.parametrize("model", ["mlp", "dcgan"])
def test_a_run_stopped_and_resumed_ends_as_one_that_never_stopped(world, shared_path, model):
    sections = {"model": {"name": model, "latent_dim": 6, "width": 4}}
    config = _write_config(world, shared_path, **sections)
    _train(world, config, shared_path / "whole")
    _train(world, config, shared_path / "parts", "--train.steps", "5")
    _train(world, config, shared_path / "parts")
    if world.is_root:
        whole = _final(world, shared_path / "whole", 10)
        parts = _final(world, shared_path / "parts", 10)
        assert whole.keys() == parts.keys()
        for name in whole:
            np.testing.assert_array_equal(parts[name], whole[name], err_msg=name)
        text = (shared_path / "parts" / "metrics.jsonl").read_text()
        assert [json.loads(line)["step"] for line in text.splitlines()] == [5, 10]


def test_fifty_steps_and_fifty_more_are_a_hundred(world, shared_path):
    config = _write_config(world, shared_path, checkpoint={"every_steps": 50})
    _train(world, config, shared_path / "whole", "--train.steps", "100")
    _train(world, config, shared_path / "parts", "--train.steps", "50")
    _train(world, config, shared_path / "parts", "--train.steps", "100")
    if world.is_root:
        whole = _final(world, shared_path / "whole", 100)
        parts = _final(world, shared_path / "parts", 100)
        for name in whole:
            np.testing.assert_array_equal(parts[name], whole[name], err_msg=name)


def test_all_ranks_hold_the_same_state_after_a_restore(world, shared_path):
    from hpcgan.gan.state import State

    config = _write_config(world, shared_path)
    _train(world, config, shared_path / "run")
    run = plan.prepare(world, config, ["--train.steps", "20"], shared_path / "run", "auto")
    state = State(run.config, (8, 8, 1))
    checkpoint.restore(world, state, run.found)
    assert state.step == 10
    sums = {
        f"{group}/{name}": float(np.sum(array, dtype=np.float64))
        for group, named in state.arrays().items()
        for name, array in named.items()
    }
    assert world.gather_json(sums) == [sums] * world.size


def test_null_shards_are_one_a_rank_and_stay_so(world, shared_path):
    config = _write_config(world, shared_path)
    content = json.loads((shared_path / "config.yaml").read_text())
    world.barrier()
    content["data"]["shards"] = None
    world.on_root(lambda: (shared_path / "config.yaml").write_text(json.dumps(content)))
    run = plan.prepare(world, config, [], shared_path / "run", "auto")
    assert run.config.data.shards == world.size
    assert run.assignment.hosted == range(world.rank, world.rank + 1)


def test_more_ranks_than_shards_are_refused(world, shared_path):
    config = _write_config(world, shared_path)
    if world.size == 1:
        run = plan.prepare(world, config, ["--data.shards", "1"], shared_path / "run", "auto")
        assert run.assignment.hosted == range(1)
        return
    with pytest.raises(ConfigError, match=f"data.shards is 1, but there are {world.size} ranks"):
        plan.prepare(world, config, ["--data.shards", "1"], shared_path / "run", "auto")


def test_a_run_that_begins_from_a_checkpoint_of_elsewhere_has_it_in_its_own_directory(
    world, shared_path, monkeypatch
):
    config = _write_config(world, shared_path)
    _train(world, config, shared_path / "first", "--train.steps", "5")
    chosen = checkpoint.path_of(shared_path / "first" / "checkpoints", 5)

    monkeypatch.setattr("hpcgan.training.loop.Run.walk", _raise_agreed)
    with pytest.raises(RunError, match="before its first step"):
        _train(world, config, shared_path / "second", resume=str(chosen))
    world.barrier()
    if world.is_root:
        ours = _final(world, shared_path / "second", 5)
        for name, array in _final(world, shared_path / "first", 5).items():
            np.testing.assert_array_equal(ours[name], array, err_msg=name)


def _raise_agreed(run):
    error = RunError("killed before its first step")
    error.on_all_ranks = True
    raise error


def test_losses_that_are_not_finite_stop_all_ranks(world, shared_path):
    config = _write_config(world, shared_path)
    overrides = ["--optimizer.generator.learning_rate=1e30"]
    # A line only at the end: what is not finite must be seen before a checkpoint is made of it.
    overrides += ["--train.steps=100", "--log.every_steps=100", "--checkpoint.keep=1"]
    with pytest.raises(RunError, match=r"of step \d+ are not finite") as caught:
        _train(world, config, shared_path / "run", *overrides)
    assert caught.value.on_all_ranks
    if world.is_root:
        kept, _ = checkpoint.newest(shared_path / "run" / "checkpoints")
        assert kept is not None
        assert kept.step < 10


def _write_bad_sample(world, directory, steps):
    """Write data with a sample that is too large, used in a step of the middle; return the step.

    The data have a hundred samples a shard, so that it is used once.
    """

    def write():
        rng = np.random.default_rng(3)
        images = rng.uniform(-1, 1, (100 * _SHARDS, 8, 8, 1)).astype(np.float32)
        order = shards.epoch_order(0, 2, 0, 100)
        images[200 + order[5 * (steps // 2) + 3]] = 3e38  # the networks overflow
        with h5py.File(directory / "data.h5", "w") as file:
            file["images"] = images

    world.on_root(write)
    return steps // 2


def test_a_run_goes_back_to_its_checkpoint_and_passes_bad_samples_by(world, shared_path):
    config = _write_config(world, shared_path)
    bad = _write_bad_sample(world, shared_path, 15)
    overrides = ["--train.steps=15", "--checkpoint.every_steps=3", "--watch.nonfinite=rollback"]
    overrides += ["--log.every_steps=1"]
    _train(world, config, shared_path / "whole", *overrides)
    # The checkpoint of step 9 is made after the run has gone back.
    _train(world, config, shared_path / "parts", *overrides, "--train.steps=9")
    _train(world, config, shared_path / "parts", *overrides)
    with pytest.raises(RunError, match=r"step 8 are not finite, and the run has gone back 0 times"):
        _train(world, config, shared_path / "none", *overrides, "--watch.rollbacks=0")
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
    parts = checkpoint.read(checkpoint.path_of(shared_path / "parts" / "checkpoints", 15))
    for group, named in whole.groups.items():
        for name, array in named.items():
            np.testing.assert_array_equal(parts.groups[group][name], array)


def test_rank_0_makes_checkpoints_by_its_clock_and_never_of_losses_that_are_not_finite(
    world, shared_path
):
    by_time = {"every_steps": None, "every_minutes": 1e-9, "keep": 100}
    config = _write_config(world, shared_path, checkpoint=by_time, log={"every_steps": 60})
    _train(world, config, shared_path / "run", "--train.steps=60")
    overrides = ["--train.steps=60", "--optimizer.generator.learning_rate=1e30"]
    with pytest.raises(RunError, match=r"of step \d+ are not finite") as caught:
        _train(world, config, shared_path / "odd", *overrides)
    assert caught.value.on_all_ranks
    if world.is_root:
        made = [path.stem for path in sorted((shared_path / "run" / "checkpoints").iterdir())]
        assert (made[0], made[-1]) == ("step_00000000", "step_00000060")
        assert len(made) > 2
        kept = [path.stem for path in sorted((shared_path / "odd" / "checkpoints").iterdir())]
        bad = int(re.search(r"of step (\d+) are", str(caught.value))[1])
        assert kept[0] == "step_00000000"
        assert kept[-1] < f"step_{bad:08d}"


def test_a_disk_that_fails_once_does_not_end_the_run(world, shared_path, monkeypatch):
    write = checkpoint.write

    def fail_at_5(given):
        if given.step == 5:
            raise RunError("step_00000005.h5: cannot be written: No space left on device")
        write(given)

    monkeypatch.setattr(checkpoint, "write", fail_at_5)
    config = _write_config(world, shared_path)
    _train(world, config, shared_path / "run")
    if world.is_root:
        made = [path.stem for path in sorted((shared_path / "run" / "checkpoints").iterdir())]
        assert made == ["step_00000000", "step_00000010"]


def test_samples_do_not_depend_on_the_number_of_ranks(world, shared_path):
    from hpcgan.gan import noise
    from hpcgan.gan.state import State

    config = _write_config(world, shared_path)
    _train(world, config, shared_path / "run", "--train.steps", "5")
    path = checkpoint.path_of(shared_path / "run" / "checkpoints", 5)
    found = checkpoint.read(path)
    count = 2 * noise.BLOCK + 3
    drawn = generate.sample(
        world, checkpoint.read_together(world, lambda: checkpoint.read(path)), count, seed=9
    )
    generate.generate(world, path, count, shared_path / "many.h5", seed=9)
    if not world.is_root:
        assert drawn is None
        return
    samples, labels = drawn
    assert labels is None
    with h5py.File(shared_path / "many.h5") as file:
        assert np.array_equal(file["images"], to_dtype(samples, "uint8"))
    state = State(found.config, found.sample_shape)
    state.load(found.groups, str(path))
    latents = np.concatenate([noise.sampling_latents(9, block, 6) for block in range(3)])
    expected = np.array(state.generator(latents[:count], training=False))
    np.testing.assert_allclose(samples, expected, atol=1e-6)
