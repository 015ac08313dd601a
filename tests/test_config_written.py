"""Configurations that are written, read again and compared."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hpcgan.config import (
    KEYS,
    REMOVED,
    CheckpointConfig,
    Config,
    DataConfig,
    LogConfig,
    ModelConfig,
    OptimizerConfig,
    OptimizersConfig,
    TrainConfig,
)
from hpcgan.config_file import differences, from_yaml, load, to_yaml
from hpcgan.config_keys import OnResume
from hpcgan.errors import ConfigError
from hpcgan.yaml_file import compose, construct
from tests.refusals import DATA, refusal

texts = st.one_of(
    st.text(st.characters(codec="utf-8")),
    st.from_regex(r"[-+]?[0-9_]+\.?[0-9_]*[eE][-+]?[0-9]+", fullmatch=True),
    st.sampled_from(
        [
            *("~", "yes", "1", "0x1f", "2020-01-01", "null", "[a]", "{a: b}", "!!x", "a: b", ".5"),
            *("", "no", "1e3", "010", "23:30", "none", "None", "1_0", "<<", "=", "*a", "'null'"),
        ]
    ),
)


counts = st.integers(1, 2**40)


few = st.integers(1, 10_000)


rates = st.floats(0, 0.999, exclude_min=True)


adams = st.builds(OptimizerConfig, learning_rate=rates, beta_1=rates, beta_2=rates)


@given(
    st.builds(
        Config,
        data=st.builds(
            DataConfig,
            files=st.lists(texts, min_size=1, max_size=3),
            images=texts,
            labels=st.none() | texts,
            stage=st.none() | texts,
            shards=st.none() | few,
        ),
        name=texts,
        seed=st.integers(0, 2**32 - 1),
        model=st.builds(ModelConfig, name=st.sampled_from(["mlp", "dcgan"]), latent_dim=few),
        optimizer=st.builds(OptimizersConfig, generator=adams, discriminator=adams),
        train=st.builds(TrainConfig, steps=counts, update=st.just("alternating")),
        checkpoint=st.builds(
            CheckpointConfig,
            every_steps=st.none() | counts,
            every_minutes=st.none() | st.just("auto") | rates,
        ),
        log=st.builds(LogConfig, samples_every_steps=st.none() | counts),
    )
)
def test_what_is_written_is_read_again(config: Config) -> None:
    text = to_yaml(config)
    assert from_yaml(text, "origin") == config
    # By what knows no types of keys, too: YAML 1.1 and 1.2.
    assert yaml.safe_load(text) == dataclasses.asdict(config)
    assert construct(compose(text, "origin")) == dataclasses.asdict(config)


def test_every_key_is_written(config_file: Path) -> None:
    config_file.write_text(DATA)
    config = load(config_file)
    assert yaml.safe_load(to_yaml(config)) == dataclasses.asdict(config)


def test_what_cannot_be_read_again_is_refused_with_its_origin() -> None:
    with pytest.raises(ConfigError, match=r"^step_1\.h5: .*steeps") as caught:
        from_yaml(DATA + "train: {steeps: 1}\n", "step_1.h5")
    assert "\n" not in str(caught.value)


def changed(config: Config, key: str, value: object) -> Config:
    """Return ``config`` with the dotted ``key`` changed."""
    first, _, rest = key.partition(".")
    inner = changed(getattr(config, first), rest, value) if rest else value  # type: ignore[arg-type]
    return dataclasses.replace(config, **{first: inner})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", 1),
        ("data.images", "pictures"),
        ("data.shards", 2),
        ("model.name", "dcgan"),
        ("model.latent_dim", 7),
        ("loss.name", "minimax"),
        ("optimizer.generator.learning_rate", 0.5),
        ("optimizer.discriminator.beta_2", 0.25),
        ("train.batch_size", 8),
        ("train.update", "alternating"),
        ("train.discriminator_steps", 3),
        ("train.discriminators", 2),
        ("train.swap_every", 5),
        ("train.swap", "random"),
    ],
)
def test_a_key_that_makes_another_run_is_a_difference(key: str, value: object) -> None:
    old = Config(data=DataConfig(files=["a.h5"]))
    before = old
    for part in key.split("."):
        before = getattr(before, part)
    assert differences(old, changed(old, key, value)) == {key: f"{key}: {before} -> {value}"}
    is_rate = key.endswith("learning_rate")
    assert KEYS[key].on_resume is (OnResume.ALLOW_CHANGE if is_rate else OnResume.FIXED)


def test_all_other_keys_make_another_run() -> None:
    """What the same run may change is listed here again: a new key is fixed unless meant not to."""
    sections = ("checkpoint.", "evaluate.", "log.", "run.", "watch.")
    same = {"name", "train.steps"} | {f"data.{key}" for key in ("files", "labels")}
    same |= {f"data.{key}" for key in ("residency", "threads", "stage")}
    same |= {key for key in KEYS if key.startswith(sections)}
    # Of these only the staleness that they give is of the run (training.plan).
    same |= {"train.staleness", "parallel.mode", "parallel.generator_ranks"}
    assert {name for name, key in KEYS.items() if key.on_resume is OnResume.FREE} == same
    assert {name for name, key in KEYS.items() if key.on_resume is OnResume.ALLOW_CHANGE} == {
        *(f"optimizer.{name}" for name in ("scaling", "warmup_steps", "decay")),
        *(f"optimizer.{name}.learning_rate" for name in ("generator", "discriminator")),
        *(key for key in KEYS if key.startswith("tournament.")),
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "other"),
        ("data.files", ["moved.h5"]),
        ("train.steps", 2000),
        ("checkpoint.keep", 1),
        ("checkpoint.every_steps", 7),
        ("log.every_steps", 7),
    ],
)
def test_a_key_that_the_same_run_may_change_is_none(key: str, value: object) -> None:
    old = Config(data=DataConfig(files=["a.h5"]))
    assert list(differences(old, changed(old, key, value))) == [key]
    assert KEYS[key].on_resume is OnResume.FREE


def test_what_was_written_before_is_read_as_it_was_meant() -> None:
    """Checkpoints of earlier versions hold what PyYAML's own dumper made of a configuration."""
    config = Config(
        data=DataConfig(files=["010.h5", "no", "~/x.h5", "1:30"], labels="yes", stage="null"),
        name="2024-01-01",
        optimizer=OptimizersConfig(generator=OptimizerConfig(learning_rate=2e-05, beta_1=0.0)),
        train=TrainConfig(steps=10**15, ema=0.99),
        model=ModelConfig(label_range=[-1e20, 2.0]),
    )
    assert from_yaml(yaml.safe_dump(dataclasses.asdict(config), sort_keys=False), "") == config


@pytest.mark.parametrize("key", REMOVED)
def test_a_key_of_an_earlier_version_is_left_out_of_what_was_written(
    config_file: Path, key: str
) -> None:
    """In a file of the user's it is unknown, so that nobody counts on what no longer happens."""
    section, _, name = key.partition(".")
    text = f"{DATA}{section}: {{{name}: true, every_steps: 7}}\n"
    config = Config(data=DataConfig(files=["a.h5"]), log=LogConfig(every_steps=7))
    assert from_yaml(text, "step_1.h5") == config
    assert refusal(config_file, text).startswith(f"{config_file}: unknown key '{key}'")
