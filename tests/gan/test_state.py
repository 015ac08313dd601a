"""What a checkpoint holds, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from hpcgan.config import Config, DataConfig, ModelConfig
from hpcgan.errors import CheckpointError
from hpcgan.gan.state import State


def _state(model="dcgan", width=4):
    model_config = ModelConfig(name=model, width=width, latent_dim=3)
    return State(Config(data=DataConfig(files=["x"]), model=model_config), (8, 8, 1))


def test_it_holds_weights_statistics_and_moments():
    arrays = _state().arrays()
    assert {"norm_1/moving_mean", "norm_1/moving_variance"} <= arrays["generator"].keys()
    moments = {name for name in arrays["discriminator_optimizer"] if name != "iteration"}
    assert len(moments) == 2 * len(arrays["discriminator"])
    assert "iteration" in arrays["generator_optimizer"]


def test_what_the_configuration_and_the_step_decide_is_not_in_it():
    names = [name for named in _state().arrays().values() for name in named]
    assert not [name for name in names if "learning_rate" in name or "seed" in name]


def test_loading_gives_back_every_value():
    state = _state()
    arrays = {
        group: {name: array + 1 for name, array in named.items()}
        for group, named in state.arrays().items()
    }
    state.load(arrays, "here.h5")
    for group, named in state.arrays().items():
        for name, array in named.items():
            np.testing.assert_array_equal(array, arrays[group][name])


def test_a_second_state_in_the_process_has_the_same_names():
    assert [list(n) for n in _state().arrays().values()] == [
        list(n) for n in _state().arrays().values()
    ]


def test_another_model_is_refused_and_names_the_variable():
    with pytest.raises(CheckpointError, match=r"^here\.h5: group 'generator' .* variable '"):
        _state("mlp").load(_state("dcgan").arrays(), "here.h5")


def test_another_width_is_refused_and_changes_nothing():
    state = _state(width=4)
    before = state.arrays()
    with pytest.raises(CheckpointError, match=r"^here\.h5: 'generator/.* has shape .* needs"):
        state.load(_state(width=8).arrays(), "here.h5")
    for group, named in state.arrays().items():
        for name, array in named.items():
            np.testing.assert_array_equal(array, before[group][name])
