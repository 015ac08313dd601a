"""A user's own networks: good ones are used, others refused with what was found."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hpcgan.config import ModelConfig
from hpcgan.errors import ConfigError
from hpcgan.gan.models import build

_SHAPE = (4, 4, 1)

_GOOD = """
import keras
from keras import layers
from hpcgan.gan.models.normalisation import SynchronisedBatchNormalization

def generator(config, shape):
    latent = keras.Input((config.latent_dim,))
    x = layers.Dense(16, name="one")(latent)
    x = layers.BatchNormalization(name="norm")(x)
    return keras.Model(latent, layers.Reshape(shape)(layers.Dense(16, name="two")(x)))

def discriminator(config, shape):
    return keras.Sequential([layers.Flatten(), layers.Dense(1, name="one")], name="any")

def conditional(config, shape):
    latent, labels = keras.Input((config.latent_dim,)), keras.Input((), dtype="int32")
    x = layers.Embedding(config.classes, 16, name="table")(labels)
    x = x + layers.Dense(16, name="one")(latent)
    return keras.Model([latent, labels], layers.Reshape(shape)(x))

def guessing(config, shape):
    sample = keras.Input(shape)
    x = layers.Flatten()(sample)
    outputs = [layers.Dense(1, name="one")(x), layers.Dense(config.classes, name="two")(x)]
    return keras.Model(sample, outputs)

def of_values(config, shape):
    latent, values = keras.Input((config.latent_dim,)), keras.Input((2,))
    x = layers.Dense(16, name="one")(layers.Concatenate()([latent, values]))
    return keras.Model([latent, values], layers.Reshape(shape)(x))

def guessing_values(config, shape):
    sample = keras.Input(shape)
    x = layers.Flatten()(sample)
    return keras.Model(sample, [layers.Dense(n, name=f"d{n}")(x) for n in (1, 2)])

def twice(config, shape):
    latent = keras.Input((config.latent_dim,))
    with keras.name_scope("a"):
        x = layers.Dense(16, name="one")(latent)
    inner = keras.Sequential([layers.Dense(16, name="one")], name="a")
    return keras.Model(latent, layers.Reshape(shape)(inner(x)))

def half(config, shape):
    latent = keras.Input((config.latent_dim,))
    x = layers.Reshape(shape, dtype="float16")(layers.Dense(16, name="one")(latent))
    return keras.Model(latent, x)

class Scale(keras.Layer):
    # It makes others, and variables, inside.

    def __init__(self, inner=(), dtype_of_count=None, unused=False, **kwargs):
        super().__init__(**kwargs)
        self.inner = {"in a": [tuple(inner)]}
        if unused:
            self.unused = self.add_weight(name="unused", shape=(2,))
        if dtype_of_count:
            self.count = self.add_weight(
                name="count", shape=(), dtype=dtype_of_count, trainable=False
            )

    def call(self, x, training=None):
        for layer in self.inner["in a"][0]:
            x = layer(x, training=training)
        return x

def with_scale(config, shape, *inner, **options):
    latent = keras.Input((config.latent_dim,))
    x = layers.Dense(16, name="one")(latent)
    return keras.Model(latent, layers.Reshape(shape)(Scale(inner, name="scale", **options)(x)))

def of_sample(config, shape, *inner, **options):
    x = layers.Flatten()(sample := keras.Input(shape))
    return keras.Model(sample, layers.Dense(1, name="one")(Scale(inner, name="s", **options)(x)))

def unused(config, shape):
    return with_scale(config, shape, unused=True)

def unused_in_d(config, shape):
    return of_sample(config, shape, unused=True)

def only_in_use(config, shape):
    class Training(keras.Layer):
        def build(self, shape):
            self.bias = self.add_weight(name="bias", shape=shape[-1:])
        def call(self, x, training=None):
            return x if training else x + self.bias
    return of_sample(config, shape, Training(name="training"))

def frozen(config, shape):
    network = with_scale(config, shape, unused=True)
    network.get_layer("scale").trainable = False
    return network

def counting(config, shape):
    return with_scale(config, shape, dtype_of_count="int32")

def steps(config, shape):
    class Step(keras.Layer):
        def call(self, x, training=None):
            return keras.ops.cast(x > 0, "float32")
    return of_sample(config, shape, Step(name="step"))

def synchronised(config, shape, *others):
    latent = keras.Input((config.latent_dim,))
    x = layers.Dense(16, name="one")(latent)
    norm = SynchronisedBatchNormalization(name="norm")
    x = keras.Sequential([norm, *others], name="net")(x)
    return keras.Model(latent, layers.Reshape(shape)(x))

def synchronised_and_random(config, shape):
    return synchronised(config, shape, layers.Dropout(0.5, name="drop"))

def synchronised_in_a_layer(config, shape):
    return with_scale(config, shape, SynchronisedBatchNormalization(name="norm"))

def synchronised_d(config, shape):
    return of_sample(config, shape, SynchronisedBatchNormalization(name="norm"))

def broken(config, shape):
    return 1 / 0

def nothing(config, shape):
    return None

number = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch, request):
    """Return the name of a module in the current directory, another one for each test."""
    name = f"networks_{abs(hash(request.node.name))}"
    (tmp_path / f"{name}.py").write_text(_GOOD)
    monkeypatch.chdir(tmp_path)
    return name


def _config(module, **values):
    keys = ("generator", "discriminator")
    own = {key: f"{module}:{value}" for key, value in values.items() if key in keys}
    return ModelConfig(**{"latent_dim": 3, **values, **own})


def _names(model):
    return [v.path.split("/", 1)[1] for v in model.trainable_variables]


def test_both_networks_can_be_the_users(module):
    networks = build(
        _config(module, generator="generator", discriminator="discriminator"), _SHAPE, 0
    )
    assert (networks.generator.name, networks.discriminator.name) == ("generator", "discriminator")
    assert _names(networks.generator) == [
        "one/kernel",
        "one/bias",
        "norm/gamma",
        "norm/beta",
        "two/kernel",
        "two/bias",
    ]
    assert _names(networks.discriminator) == ["any/one/kernel", "any/one/bias"]
    samples = networks.generator(np.zeros((5, 3), "float32"))
    assert samples.shape == (5, *_SHAPE)
    assert networks.discriminator(samples).shape == (5, 1)
    assert networks.discriminator.input_shape == (None, *_SHAPE)


def test_the_other_network_is_the_familys(module):
    networks = build(_config(module, generator="generator"), _SHAPE, 0)
    assert "hidden_1/kernel" in _names(networks.discriminator)
    assert "hidden_1/kernel" not in _names(networks.generator)
    networks = build(_config(module, discriminator="discriminator"), _SHAPE, 0)
    assert "hidden_1/kernel" in _names(networks.generator)
    assert _names(networks.discriminator) == ["any/one/kernel", "any/one/bias"]


def test_a_generator_of_known_layers_may_have_synchronised_normalisation(module):
    generator = build(_config(module, generator="synchronised"), _SHAPE, 0).generator
    assert _names(generator)[-2:] == ["net/norm/gamma", "net/norm/beta"]


def test_a_weight_that_is_frozen_need_not_be_used(module):
    generator = build(_config(module, generator="frozen"), _SHAPE, 0).generator
    assert _names(generator) == ["one/kernel", "one/bias"]


def test_a_condition_adds_labels_and_guesses(module):
    config = _config(
        module,
        condition="auxiliary",
        classes=4,
        generator="conditional",
        discriminator="guessing",
    )
    networks = build(config, _SHAPE, 0)
    samples = networks.generator([np.zeros((5, 3), "float32"), np.zeros(5, "int32")])
    logits, classes = networks.discriminator(samples)
    assert (logits.shape, classes.shape) == ((5, 1), (5, 4))


def test_networks_of_several_values_get_them_and_guess_them_all(module):
    config = _config(
        module,
        generator="of_values",
        discriminator="guessing_values",
        condition="regression",
        label_range=[1, 2, 0, 9],
    )
    generator, discriminator = build(config, _SHAPE, 0)
    given = [np.zeros((3, config.latent_dim), "float32"), np.ones((3, 2), "float32")]
    outputs = discriminator(generator(given))
    assert [tuple(each.shape) for each in outputs] == [(3, 1), (3, 2)]
    with pytest.raises(ConfigError, match=r"^model\.generator .* does not take its inputs"):
        build(dataclasses.replace(config, label_range=[1, 2]), _SHAPE, 0)


def test_the_seed_decides_the_weights_of_the_users_networks(module):
    config = _config(module, generator="generator", discriminator="discriminator")
    first, same, other = (
        np.array(build(config, _SHAPE, s).generator.weights[0]) for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, same)
    assert not np.allclose(first, other)


@pytest.mark.parametrize(
    ("key", "function", "message"),
    [
        ("generator", "discriminator", r"gives \(2, 1\) float32 .* give \(2, 4, 4, 1\) float32"),
        ("discriminator", "generator", r"does not take its inputs: ValueError: "),
        ("discriminator", "guessing", r"fails: ValueError: .*units"),
        ("generator", "conditional", r"fails: ValueError"),
        ("generator", "half", r"gives \(2, 4, 4, 1\) float16 for .* float32"),
        ("generator", "twice", r"has two variables generator/a/one/"),
        ("generator", "unused", r": nothing that .* on its weight generator/scale/unused, which"),
        ("discriminator", "unused_in_d", r": nothing .* its weight discriminator/s/unused, which"),
        ("discriminator", "only_in_use", r": nothing .* its weight .*/training/bias, which"),
        ("discriminator", "steps", r": its logit has no gradient by the samples"),
        ("generator", "counting", r"has a variable generator/scale/count of int32, .* float32"),
        ("generator", "synchronised_and_random", r"and a layer drop that may mix their samples"),
        ("generator", "synchronised_in_a_layer", r"and a layer scale that may mix their samples"),
        ("discriminator", "synchronised_d", r"synchronised normalisation, .* generator alone"),
        ("generator", "broken", r"fails: ZeroDivisionError: division by zero"),
        ("generator", "nothing", r"returns NoneType, not a keras\.Model"),
        ("generator", "number", r"networks_\d+\.py has no function number"),
        ("generator", "missing", r"networks_\d+\.py has no function missing"),
    ],
)
def test_other_functions_are_refused(module, key, function, message):
    with pytest.raises(ConfigError, match=rf"^model\.{key} networks_\d+:{function}.*{message}"):
        build(_config(module, **{key: function}), _SHAPE, 0)


def test_a_module_that_is_missing_is_refused():
    message = (
        r"^model\.generator no_such_module:f cannot be imported: ModuleNotFoundError: No module"
    )
    with pytest.raises(ConfigError, match=message):
        build(ModelConfig(generator="no_such_module:f"), _SHAPE, 0)


def test_a_module_with_an_error_is_refused(tmp_path, monkeypatch):
    (tmp_path / "networks_with_an_error.py").write_text("x = (")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"cannot be imported: SyntaxError: '\(' was never"):
        build(ModelConfig(generator="networks_with_an_error:f"), _SHAPE, 0)
