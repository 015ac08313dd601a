"""Training that looks back, against the recursions that it stands for, and several discriminators.

The bilinear game: G makes the one number x, D gives y times what it sees, and real samples are 0.
With the losses of Wasserstein's distance, without penalty, D moves y by -rate x and G x by rate y.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from hpcgan.all_reduce import identity
from hpcgan.config import (
    Config,
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    OptimizersConfig,
    ParallelConfig,
    TrainConfig,
)
from hpcgan.errors import ConfigError
from hpcgan.gan import state as states
from hpcgan.gan.state import State
from hpcgan.gan.update import Sums
from hpcgan.parallel import placing
from hpcgan.parallel.local import Local, next_places
from hpcgan.parallel.placing import Placing
from hpcgan.parallel.synchronous import Synchronous

pytestmark = pytest.mark.usefixtures("unmeasured")

_SHAPE = (1, 1, 1)
_RATE = 0.05


class Number(keras.layers.Layer):
    """A layer of one number: what it gives, or what it multiplies its inputs by."""

    def __init__(self, multiplies: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.multiplies = multiplies
        self.number = self.add_weight(shape=(), initializer="ones", name="number")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the number for each input, or times it."""
        if self.multiplies:
            return self.number * inputs
        return tf.zeros_like(inputs) + self.number


def generator(config: ModelConfig, sample_shape: tuple[int, ...]) -> keras.Model:
    """Return G, which makes one number."""
    latents = keras.Input((config.latent_dim,))
    return keras.Model(latents, keras.layers.Reshape(sample_shape)(Number(False)(latents)))


def discriminator(config: ModelConfig, sample_shape: tuple[int, ...]) -> keras.Model:
    """Return D, which multiplies by one number."""
    samples = keras.Input(sample_shape)
    return keras.Model(samples, Number(True)(keras.layers.Flatten()(samples)))


def _config(update: str, staleness: int, **train: Any) -> Config:
    sgd = OptimizerConfig("sgd", _RATE)
    own = {name: f"{__name__}:{name}" for name in ("generator", "discriminator")}
    return Config(
        data=DataConfig(files=[], shards=train.pop("shards", 1)),
        model=ModelConfig(latent_dim=1, **own),  # type: ignore[arg-type]
        loss=LossConfig("wasserstein", gradient_penalty=0.0),
        optimizer=OptimizersConfig(sgd, sgd),
        train=TrainConfig(batch_size=2, update=update, staleness=staleness, **train),  # type: ignore[arg-type]
    )


def _path(update: str, staleness: int, steps: int) -> np.ndarray:
    """Return (x, y) after each step, (steps + 1, 2), by the program."""
    config = _config(update, staleness)
    state = State(config, _SHAPE)
    strategy = Synchronous(config, state, "float32", range(1), identity)
    found = [(1.0, 1.0)]
    for step in range(steps):
        strategy.run(tf.zeros((1, 1, 2, *_SHAPE)), tf.constant(step, tf.int64))
        models = (state.generator, state.discriminators[0])
        found.append(tuple(float(each.trainable_variables[0]) for each in models))
    return np.array(found)


def _expected(update: str, staleness: int, steps: int) -> np.ndarray:
    """Return the same by the recursion."""
    x, y = [1.0], [1.0]
    for step in range(steps):
        y.append(y[step] - _RATE * x[max(0, step - staleness)])
        judge = step + 1 if update == "alternating" else step
        x.append(x[step] + _RATE * y[max(0, judge - staleness)])
    return np.stack([x, y], axis=1)


@pytest.mark.parametrize("staleness", [0, 1, 2, 4, 8])
@pytest.mark.parametrize("update", ["simultaneous", "alternating"])
def test_each_network_learns_from_the_other_as_of_then(update, staleness):
    np.testing.assert_allclose(
        _path(update, staleness, 25), _expected(update, staleness, 25), rtol=2e-6, atol=1e-6
    )


@pytest.mark.parametrize("staleness", [0, 1, 3])
def test_the_distance_from_the_equilibrium_grows_with_staleness(staleness):
    """To first order by a factor 1 + rate^2 (2 s + 1) / 2 each step."""
    radius = np.linalg.norm(_path("simultaneous", staleness, 120), axis=1)
    begin = 2 * staleness
    growth = math.log(radius[-1] / radius[begin]) / (120 - begin)
    assert growth == pytest.approx(_RATE**2 * (2 * staleness + 1) / 2, rel=0.15)


def test_in_turn_and_without_staleness_it_does_not_grow():
    radius = np.linalg.norm(_path("alternating", 0, 120), axis=1)
    assert radius[-1] == pytest.approx(radius[0], rel=0.05)


def test_there_must_be_memory_for_the_older_versions(monkeypatch):
    monkeypatch.setattr(states, "free_memory", lambda: 1000)
    assert State(_config("simultaneous", 7), _SHAPE).generator_versions is not None
    # A row of 16 numbers for each network of one.
    with pytest.raises(ConfigError, match=r"staleness is 8: .* take 1.02 kB per rank, and 1 kB"):
        State(_config("simultaneous", 8), _SHAPE)


# --- several discriminators ------------------------------------------------------------------


def _local(config: Config, state: State, dtype: str = "float32") -> Local:
    alone: Any = SimpleNamespace(rank=0, pass_arrays=lambda sends, receives: None)
    place = Placing(config.data.shards or 0, 1)
    sums = Sums(identity)
    return Local(config, state, dtype, place, alone, sums, sums, identity)


def test_each_discriminator_learns_from_its_own_shards_and_g_from_all():
    config = _config("simultaneous", 0, shards=4, discriminators=2)
    state = State(config, _SHAPE)
    # D 0 sees ones in both of its shards, D 1 zeros: y moves by rate (mean of real - x).
    samples = np.zeros((1, 4, 2, *_SHAPE), np.float32)
    samples[:, :2] = 1.0
    for each, number in zip(state.discriminators, (1.0, 3.0), strict=True):
        each.trainable_variables[0].assign(number)
    report = _local(config, state).run(tf.constant(samples), tf.constant(0, tf.int64))
    y = [float(each.trainable_variables[0]) for each in state.discriminators]
    assert y == pytest.approx([1.0, 3.0 - _RATE])
    # G is judged by the mean of both, and so are the losses: y x - y real, and -y x.
    assert float(state.generator.trainable_variables[0]) == pytest.approx(1.0 + 2.0 * _RATE)
    np.testing.assert_allclose(report.losses, [[(0.0 + 3.0) / 2, -2.0]], atol=1e-6)
    assert (report.stop.numpy().tolist(), report.skipped.numpy().tolist()) == ([0], [0])


@pytest.mark.parametrize("update", ["simultaneous", "alternating"])
def test_one_discriminator_is_synchronous_training_bit_for_bit(update):
    model = ModelConfig("dcgan", latent_dim=4, width=4)
    config = Config(
        data=DataConfig(files=[], shards=2),
        model=model,
        train=TrainConfig(batch_size=3, update=update),  # type: ignore[arg-type]
    )
    samples = np.random.default_rng(0).integers(0, 256, (3, 2, 3, 8, 8, 1), np.uint8)
    ended = []
    for make in (_local, lambda *given: Synchronous(*given, range(2), identity)):
        state = State(config, (8, 8, 1))
        make(config, state, "uint8").run(tf.constant(samples), tf.constant(0, tf.int64))
        ended.append(state.arrays())
    ours, theirs = ended
    for group, named in theirs.items():
        for name, array in named.items():
            np.testing.assert_array_equal(ours[group][name], array)


def _filled(count: int, **train: Any) -> tuple[State, Local]:
    """Return discriminators with Adam, each with numbers of its own everywhere."""
    config = Config(
        data=DataConfig(files=[], shards=count),
        model=ModelConfig("dcgan", latent_dim=4, width=4),
        train=TrainConfig(batch_size=2, discriminators=count, swap_every=5, **train),
    )
    state = State(config, (8, 8, 1))
    rng = np.random.default_rng(0)
    for group, named in state.variables().items():
        if group.startswith("discriminator"):
            for variable in named.values():
                variable.assign(rng.integers(0, 100, variable.shape).astype(variable.dtype))
    return state, _local(config, state, "uint8")


def test_after_as_many_swaps_as_there_are_discriminators_every_one_is_home():
    state, strategy = _filled(3)
    start = state.arrays()
    for step in range(1, 16):
        strategy.between_calls(step)
        now = state.arrays()
        swaps = step // 5
        for place, name in enumerate(state.discriminator_names):
            before = state.discriminator_names[(place - swaps) % 3]
            # Moments and the count of updates travel, too.
            for suffix in ("", "_optimizer"):
                for key, array in start[f"{before}{suffix}"].items():
                    np.testing.assert_array_equal(now[f"{name}{suffix}"][key], array)


def test_no_swap_is_made_where_none_is_wanted():
    state, strategy = _filled(2, swap="ring")
    start = state.arrays()
    strategy.between_calls(4)
    for name, array in start["discriminator"].items():
        np.testing.assert_array_equal(state.arrays()["discriminator"][name], array)


def test_random_swaps_are_one_cycle_of_their_own_each_time():
    found = [next_places("random", 5, seed, number) for seed in (0, 1) for number in range(20)]
    for places in found:
        place, seen = 0, set()
        while place not in seen:
            seen.add(place)
            place = places[place]
        assert len(seen) == 5
    assert len({tuple(places) for places in found}) > 10
    assert found[3] == next_places("random", 5, 0, 3)
    assert next_places("ring", 4, 7, 9) == [1, 2, 3, 0]


# --- which ranks hold what -------------------------------------------------------------------


def _placed(ranks: int, shards: int, **sections: Any) -> Placing:
    config = Config(
        data=DataConfig(files=[], shards=shards),
        train=TrainConfig(discriminators=sections.pop("discriminators", 1)),
        parallel=ParallelConfig(**sections),
    )
    return placing.of(config, ranks)


def test_in_split_both_groups_compute_all_shards_and_one_reads_them():
    place = _placed(5, 6, mode="split", generator_ranks=2)
    assert [place.hosted(rank) for rank in range(2)] == [range(3), range(3, 6)]
    assert [place.hosted(rank) for rank in range(2, 5)] == [range(2), range(2, 4), range(4, 6)]
    assert [len(place.read(rank)) for rank in range(5)] == [0, 0, 2, 2, 2]
    assert [place.in_common(0, rank) for rank in range(2, 5)] == [2, 1, 0]
    assert _placed(5, 6, mode="split").generator_ranks == 2


@pytest.mark.parametrize(
    ("ranks", "shards", "sections", "why"),
    [
        (1, 4, {"mode": "split"}, r"two ranks or more; train.staleness: 1 does the same on one"),
        (3, 4, {"mode": "split", "generator_ranks": 3}, "none is left for the discriminator"),
        (5, 2, {"mode": "split"}, "data.shards is 2, but 3 ranks train one network"),
        (5, 4, {}, "use at most 4 ranks"),
        (
            3,
            6,
            {"discriminators": 2},
            r"some would hold parts of two of them; use 1, 2, 4, 5, 6",
        ),
        (2, 6, {"discriminators": 4}, "does not divide data.shards, 6"),
    ],
)
def test_ranks_that_do_not_fit_are_refused_with_those_that_do(ranks, shards, sections, why):
    with pytest.raises(ConfigError, match=why):
        _placed(ranks, shards, **sections)
