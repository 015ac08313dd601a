"""What the values of a configuration may be."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from hpcgan.config import KEYS
from hpcgan.config_file import from_yaml, load
from hpcgan.errors import ConfigError
from tests.refusals import DATA, refusal


@pytest.mark.parametrize(
    ("key", "allowed", "refused", "bound"),
    [
        ("seed", "0", "-1", "at least 0"),
        ("seed", "4294967295", "4294967296", "at most 4294967295"),
        ("data.shards", "1", "0", "at least 1"),
        ("data.shards", "1000000", "1000001", "at most 1000000"),
        ("data.shuffle_chunks", "100000", "100001", "at most 100000"),
        ("data.shuffle_chunks", "1", "0", "at least 1"),
        ("data.threads", "1", "0", "at least 1"),
        ("model.classes", "1", "0", "at least 1"),
        ("train.accumulate", "1", "0", "at least 1"),
        ("optimizer.warmup_steps", "0", "-1", "at least 0"),
        ("run.time_limit", "0.1", "0", "greater than 0"),
        ("run.stall_seconds", "5", "4.9", "at least 5"),
        ("run.restarts", "0", "-1", "at least 0"),
        ("watch.skips", "0", "-1", "at least 0"),
        ("watch.rollbacks", "0", "-1", "at least 0"),
        ("watch.drift_steps", "1", "0", "at least 1"),
        ("data.threads", "1000", "1001", "at most 1000"),
        ("model.latent_dim", "1", "0", "at least 1"),
        ("model.width", "1", "0", "at least 1"),
        ("model.latent_dim", "10000", "10001", "at most 10000"),
        ("model.width", "2000", "2001", "at most 2000"),
        ("model.classes", "1000000", "1000001", "at most 1000000"),
        ("optimizer.generator.learning_rate", "0", "-0.5", "at least 0"),
        ("optimizer.discriminator.learning_rate", "0", "-0.1", "at least 0"),
        ("optimizer.generator.beta_1", "0", "-0.1", "at least 0"),
        ("optimizer.generator.beta_2", "0.9999", "1", "less than 1"),
        ("optimizer.discriminator.beta_1", "0.9999", "1", "less than 1"),
        ("optimizer.discriminator.beta_2", "0", "-0.1", "at least 0"),
        ("train.steps", "1", "0", "at least 1"),
        ("train.batch_size", "1", "0", "at least 1"),
        ("train.batch_size", "100000", "100001", "at most 100000"),
        ("train.discriminator_steps", "1", "0", "at least 1"),
        ("run.restarts", "10000", "10001", "at most 10000"),
        ("checkpoint.every_steps", "1", "0", "at least 1"),
        ("checkpoint.every_minutes", "0.1", "0", "greater than 0"),
        ("checkpoint.mtbf_hours", "0.1", "0", "greater than 0"),
        ("checkpoint.keep", "1", "0", "at least 1"),
        ("checkpoint.keep_every", "1", "0", "at least 1"),
        ("checkpoint.failures", "1", "0", "at least 1"),
        ("log.every_steps", "1", "0", "at least 1"),
        ("log.samples_every_steps", "1", "0", "at least 1"),
    ],
)
def test_a_value_out_of_bounds_is_refused_with_its_key_and_the_bound(
    config_file: Path, key: str, allowed: str, refused: str, bound: str
) -> None:
    message = refusal(config_file, DATA, f"--{key}={refused}")
    assert message.startswith(f"{config_file} or command line: {key} is {refused}")
    assert message.endswith(f"; it must be {bound}")
    load(config_file, [f"--{key}={allowed}"])


@pytest.mark.parametrize("key", ["train.discriminator_steps", "train.accumulate"])
def test_more_work_in_a_step_than_allowed_is_refused(config_file: Path, key: str) -> None:
    most = {"train.discriminator_steps": 1000, "train.accumulate": 100_000}[key]
    words = ["--train.update=alternating", "--train.batch_size=100000"]
    message = refusal(config_file, DATA, *words, f"--{key}={most + 1}")
    assert message.endswith(f"{key} is {most + 1}; it must be at most {most}")
    load(config_file, [*words, f"--{key}={most}"])


def test_every_number_has_bounds(config_file: Path) -> None:
    numbers = [name for name, key in KEYS.items() if {int, float} & {key.type, *get_args(key.type)}]
    assert {"seed", "run.time_limit", "optimizer.generator.clip_norm"} <= set(numbers)
    for name in numbers:
        assert f"{name} is -1" in refusal(config_file, DATA, f"--{name}=-1")


@pytest.mark.parametrize(
    "text",
    [
        "model: {width: 2001}",
        "seed: -1",
        f"seed: 1{'0' * 400}",
        f"optimizer: {{generator: {{learning_rate: 1{'0' * 400}}}}}",
        "train: {ema: .nan}",
        "train: {discriminator_steps: 2}",
        "model: {condition: projection}",
        "model: {generator: 'a b'}",
        "model: {label_range: [0, .nan]}",
    ],
)
def test_what_is_refused_in_a_file_is_refused_in_a_checkpoint(config_file: Path, text: str) -> None:
    in_file = refusal(config_file, f"{DATA}{text}\n")
    with pytest.raises(ConfigError) as caught:
        from_yaml(f"{DATA}{text}\n", "step_1.h5")
    assert str(caught.value).startswith("step_1.h5: ")
    assert "\n" not in str(caught.value)
    assert str(config_file) in in_file


def test_a_learning_rate_that_is_no_number_is_refused(config_file: Path) -> None:
    message = refusal(config_file, DATA + "optimizer: {generator: {learning_rate: .nan}}\n")
    assert message.endswith("learning_rate is nan; it must be a finite number")


def test_no_file_at_all_is_refused(config_file: Path) -> None:
    message = refusal(config_file, "data: {files: []}\n")
    assert message == f"{config_file}: data.files is empty; name at least one HDF5 file"


def test_several_discriminator_steps_need_alternating_updates(config_file: Path) -> None:
    message = refusal(config_file, DATA + "train: {discriminator_steps: 2}\n")
    assert message == (
        f"{config_file}: train.discriminator_steps is 2, which needs train.update: alternating"
    )
    assert load(config_file, ["--train.update=alternating"]).train.discriminator_steps == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--train.accumulate=3"], "train.accumulate is 3, which does not divide train.batch_size"),
        (["--train.augment=[color,color]"], "train.augment names something twice"),
        (["--model.label_range=[0,1,2]"], "model.label_range is [0.0, 1.0, 2.0]; give two numbers"),
        (["--data.partition=balanced"], "data.partition is balanced, which needs data.labels"),
        (["--data.partition=balanced", "--data.labels=y", "--data.align=true"], "leave data.align"),
        (["--data.residency=stream", "--data.shuffle=samples"], "data.shuffle is samples, which"),
        (["--train.ema=1"], "train.ema is 1.0; it must be less than 1"),
        (["--model.name=dcgan", "--model.condition=projection"], "which needs data.labels"),
        (["--model.condition=auxiliary", "--data.labels=y"], "mlp can have none"),
        (["--model.name=volume", "--model.condition=projection", "--data.labels=y"], "none, regr"),
        (["--model.attention=true"], "model.attention is for model.name: resnet"),
        (["--model.generator=a", "--model.discriminator=a:b"], "must be package.module:function"),
        (["--loss.name=hinge", "--loss.label_smoothing=0.1"], "loss.label_smoothing is for"),
        (["--loss.r1=-1"], "loss.r1 is -1.0; it must be at least 0"),
        (["--optimizer.generator.clip_norm=0"], "clip_norm is 0.0; it must be greater than 0"),
    ],
)
def test_keys_that_do_not_fit_together_are_refused(
    config_file: Path, words: list[str], message: str
) -> None:
    config_file.write_text(DATA)
    with pytest.raises(ConfigError, match=re.escape(message)):
        load(config_file, words)


@pytest.mark.parametrize("value", [".inf", "-.inf"])
def test_numbers_that_are_not_finite_are_refused(config_file: Path, value: str) -> None:
    text = DATA + f"optimizer: {{generator: {{learning_rate: {value}}}}}\n"
    assert "optimizer.generator.learning_rate is" in refusal(config_file, text)


@pytest.mark.parametrize("name", ["run", "my run", "é-1", "a.b", "x" * 200, "$x", "no"])
def test_a_name_may_be_that_of_a_directory(config_file: Path, name: str) -> None:
    config_file.write_text(DATA)
    assert load(config_file, ["--name", name]).name == name


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../x", "a/b", "/tmp/x", "-x", ".x", " x", "x ", "it's", 'a"b', "a\\b"),
        *("a\nb", "a\0", "\x1b[31m", "a\u2028b", "x" * 201, "é" * 101),
    ],
)
def test_another_name_is_refused(config_file: Path, name: str) -> None:
    text = DATA + yaml.safe_dump({"name": name})
    start = f"{config_file}: name is {name!r}; it must be the name of a directory: "
    assert refusal(config_file, text).startswith(start)
    # One of somebody else's checkpoint names nothing.
    assert from_yaml(text, "step_1.h5").name == name
