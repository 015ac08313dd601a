"""The gradient noise scale: of gradients whose noise is known, and as an update measures it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from hpcgan.all_reduce import identity
from hpcgan.config import Config, DataConfig, ModelConfig, TrainConfig
from hpcgan.gan import noise_scale
from hpcgan.gan.adam import Adam
from hpcgan.gan.network import Network
from hpcgan.gan.noise_scale import NoiseScale
from hpcgan.gan.objective import Gradients
from hpcgan.gan.state import State
from hpcgan.gan.update import Sums, Update
from hpcgan.parallel.synchronous import Synchronous


def test_two_measurements_worked_out_by_hand():
    found = NoiseScale(parts=4, samples=8)
    assert found.value is None
    # tr = 32 / 3 (S - A), |G|^2 = (4 A - S) / 3: of (7, 4) they are 32 and 3, of (4, 1) 32 and 0.
    found.add(np.array([[0, 0], [7, 4]]))
    assert found.value == pytest.approx(32 / 3)
    found.add(np.array([[4, 1], [0, 0]]))
    assert found.value == pytest.approx((0.98 * 32 + 32) / (0.98 * 3))


def test_noise_that_hides_the_gradient_has_no_scale():
    found = NoiseScale(4, 8)
    found.add(np.array([[8.0, 1.0]]))
    assert found.value is None


def test_one_part_tells_nothing():
    found = NoiseScale(1, 8)
    found.add(np.array([[7.0, 7.0]]))
    assert found.value is None


@pytest.mark.parametrize("parts", [2, 8])
def test_of_gradients_with_known_noise_it_is_found(parts):
    """A gradient of 300 components, each with the variance of the noise of one sample."""
    rng, samples = np.random.default_rng(parts), 16
    gradient, deviations = rng.normal(size=300), rng.uniform(1, 20, 300)
    expected = (deviations**2).sum() / (gradient**2).sum()
    found = NoiseScale(parts, samples)
    for _ in range(400):
        noise = rng.normal(size=(parts, 300)) * deviations / np.sqrt(samples)
        of_parts = gradient + noise
        of_mean = of_parts.mean(0)
        found.add(np.array([[(of_parts**2).sum(1).mean(), (of_mean**2).sum()]]))
    assert found.value == pytest.approx(expected, rel=0.05)


def test_the_words_at_the_end_give_the_steps_of_twice_the_batch():
    d, g = NoiseScale(4, 8), NoiseScale(4, 8)
    assert noise_scale.larger_batches(d, g) == ""
    g.add(np.array([[7.0, 4.0]]))  # 32 / 3 in batches of 32: 1 + 1/6 against 1 + 1/3
    assert noise_scale.larger_batches(d, g) == (
        "gradient noise scale, in images: G 10.7; with batches of 32 images now, twice the ranks "
        "would need 0.88 (G) of the steps (a hint; hpcgan scale quality tests it)"
    )


def _network(model):
    """Return a network without others, whose Adam has made some steps."""
    optimizer = Adam(0.1, beta_2=0.9, epsilon=0.5)
    optimizer.build(model.trainable_variables)
    optimizer.iterations.assign(2)
    squares = [each for each in optimizer.variables if "velocity" in each.path]
    assert len(squares) == 2
    for number, each in enumerate(squares):
        each.assign(tf.fill(each.shape, 0.19 * (number + 1) ** 2))
    values = {"optimizer.generator.learning_rate": tf.Variable(0.1)}
    config = Config(data=DataConfig(files=["x"], shards=2), train=TrainConfig(batch_size=4))
    return Network(model, optimizer, config, "generator", values, tf.Variable(1.0))


@pytest.mark.parametrize("scale", [None, 8.0])
def test_an_update_weighs_squares_as_adam_does_before_it_moves(scale):
    import keras

    inputs = keras.Input((2,))
    network = _network(keras.Model(inputs, keras.layers.Dense(1)(inputs)))
    of_loss = SimpleNamespace(scale=tf.Variable(scale or 1.0), adapt=lambda finite: None)
    update = Update([network], 2, Sums(identity), of_loss if scale else None, True)
    # With the correction 1 - 0.9^2 = 0.19 the weights are 1 / (1 + 0.5) and 1 / (2 + 0.5).
    parts = [(np.array([[3.0], [0.0]]), np.array([5.0])), (np.array([[0.0], [6.0]]), np.zeros(1))]
    total = tf.add_n(
        [
            update.join(
                [Gradients([tf.constant(g * (scale or 1), tf.float32) for g in part], [], 0.0)],
                tf.constant(0.0),
                measured=tf.constant(True),
            )
            for part in parts
        ]
    )
    _, _, skipped, of_parts, of_mean = update.apply(total, tf.constant(7, tf.int64)).numpy()
    assert skipped == 0
    # Of the parts: (3 / 1.5)^2 + (5 / 2.5)^2 = 8 and (6 / 1.5)^2 = 16. Of their mean, (1.5, 3) and
    # 2.5: 1 + 4 + 1.
    np.testing.assert_allclose([of_parts, of_mean], [12, 6], rtol=1e-6)


def test_numbers_that_are_not_finite_are_no_measurement():
    import keras

    inputs = keras.Input((2,))
    network = _network(keras.Model(inputs, keras.layers.Dense(1)(inputs)))
    update = Update([network], 1, Sums(identity), is_measured=True)
    gradients = Gradients([tf.constant([[np.nan], [1.0]]), tf.zeros(1)], [], 0.0)
    total = update.join([gradients], tf.constant(0.0), measured=True)
    assert update.apply(total, tf.constant(7, tf.int64)).numpy()[2:].tolist() == [1, 0, 0]


def test_shards_that_go_through_together_are_measured_one_by_one(monkeypatch):
    """With Adam, from step 15 on which is measured; what is not is 0."""
    found = {}
    for together in (3, 1):
        config = Config(
            data=DataConfig(files=["x"], shards=3),
            model=ModelConfig(latent_dim=4, width=4),
            train=TrainConfig(batch_size=6, accumulate=2),
        )
        state = State(config, (4, 4, 1))
        monkeypatch.setattr("hpcgan.gan.step.shards_together", lambda *_, number=together: number)
        strategy = Synchronous(config, state, "float32", range(3), identity)
        samples = np.random.default_rng(0).uniform(-1, 1, (18, 3, 6, 4, 4, 1))
        report = strategy.run(tf.constant(samples, tf.float32), tf.constant(0, tf.int64))
        found[together] = report.squares.numpy()
    assert (found[3] > 0).any(axis=(1, 2)).nonzero()[0].tolist() == [15]
    np.testing.assert_allclose(found[3], found[1], rtol=1e-4)
    of_parts, of_mean = found[3][15].T
    assert (of_parts > of_mean).all()
