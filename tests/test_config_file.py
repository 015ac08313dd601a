"""The configuration: what a file and the command line may say, and what each mistake is told."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hpcgan.config import (
    CheckpointConfig,
    Config,
    DataConfig,
    LogConfig,
    ModelConfig,
    OptimizerConfig,
    OptimizersConfig,
    TrainConfig,
)
from hpcgan.config_file import (
    differences,
    from_yaml,
    is_changeable,
    is_defining,
    load,
    presets,
    to_yaml,
)
from hpcgan.errors import ConfigError

DATA = "data: {files: [a.h5]}\n"


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    return tmp_path / "run.yaml"


def refusal(path: Path, text: str, *overrides: str) -> str:
    """Return what ``load`` says about a wrong configuration; check that it is one line."""
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, list(overrides))
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_what_is_left_out_has_its_default(config_file: Path) -> None:
    config_file.write_text(DATA)
    config = load(config_file)
    assert config == Config(data=DataConfig(files=["a.h5"]))
    assert config.train == TrainConfig(
        steps=1000, batch_size=64, update="simultaneous", discriminator_steps=1
    )
    assert config.optimizer.generator == OptimizerConfig("adam", 0.0002, 0.5, 0.999)


def test_the_file_goes_before_the_defaults_and_the_command_line_before_the_file(
    config_file: Path,
) -> None:
    config_file.write_text(DATA + "seed: 5\ntrain: {steps: 10, batch_size: 8}\n")
    config = load(config_file, ["--train.steps", "20", "--data.files", "[b.h5, c.h5]"])
    assert config.seed == 5
    assert config.train == TrainConfig(steps=20, batch_size=8)
    assert config.data.files == ["b.h5", "c.h5"]


def test_a_whole_number_and_an_exponent_are_learning_rates(config_file: Path) -> None:
    config_file.write_text(
        DATA + "optimizer: {generator: {learning_rate: 1}, discriminator: {learning_rate: 1e-3}}\n"
    )
    optimizer = load(config_file).optimizer
    assert (optimizer.generator.learning_rate, optimizer.discriminator.learning_rate) == (1, 0.001)


def test_null_is_allowed_where_it_is_the_default(config_file: Path) -> None:
    config_file.write_text(
        "data: {files: [a.h5], labels: null, shards: null}\nlog: {samples_every_steps: null}\n"
    )
    assert load(config_file) == Config(data=DataConfig(files=["a.h5"]))


@pytest.mark.parametrize(
    ("text", "unknown", "nearest"),
    [
        ("seeed: 1\n", "seeed", "seed"),
        ("train: {step: 1}\n", "train.step", "train.steps"),
        ("batch_size: 8\n", "batch_size", "train.batch_size"),
        ("trian: {steps: 1}\n", "trian", "train"),
        (
            "optimizer: {generator: {learning_rat: 1}}\n",
            "optimizer.generator.learning_rat",
            "optimizer.generator.learning_rate",
        ),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest_known_one(
    config_file: Path, text: str, unknown: str, nearest: str
) -> None:
    assert refusal(config_file, DATA + text) == (
        f"{config_file}: unknown key '{unknown}'; the nearest known one is '{nearest}'"
    )


def test_an_unknown_key_like_no_other_is_told_alone(config_file: Path) -> None:
    assert refusal(config_file, DATA + "xyzzy: 1\n") == f"{config_file}: unknown key 'xyzzy'"


@pytest.mark.parametrize(
    ("unknown", "nearest"), [("train.step", "train.steps"), ("batch_size", "train.batch_size")]
)
@pytest.mark.parametrize("form", ["two words", "one word"])
def test_an_unknown_key_on_the_command_line_is_told_with_the_nearest_known_one(
    config_file: Path, unknown: str, nearest: str, form: str
) -> None:
    words = [f"--{unknown}", "1"] if form == "two words" else [f"--{unknown}=1"]
    assert refusal(config_file, DATA, *words) == (
        f"command line: unknown key '{unknown}'; the nearest known one is '{nearest}'"
    )


def test_a_word_too_many_on_the_command_line_is_told(config_file: Path) -> None:
    message = refusal(config_file, DATA, "--train.steps", "7", "odd")
    assert message.endswith("unrecognized arguments: odd")


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("train", "steps", "many", "int"),
        ("train", "steps", "1.5", "int"),
        ("train", "batch_size", "[8]", "int"),
        ("model", "name", "rasnet", "one of 'mlp', 'dcgan', 'resnet', 'volume'"),
        ("parallel", "population", "2", "one of 1"),
    ],
)
def test_a_value_of_the_wrong_type_is_told_with_its_key_and_what_is_expected(
    config_file: Path, section: str, key: str, value: str, expected: str
) -> None:
    in_file = refusal(config_file, f"{DATA}{section}: {{{key}: {value}}}\n")
    on_command_line = refusal(config_file, DATA, f"--{section}.{key}", value)
    for message in (in_file, on_command_line):
        assert f'key "{section}.{key}": Expected {expected}. Got value: ' in message


def test_one_file_in_place_of_a_list_is_refused(config_file: Path) -> None:
    message = refusal(config_file, "data: {files: a.h5}\n")
    assert 'key "data.files": Expected list. Got value: a.h5' in message


@pytest.mark.parametrize(
    ("key", "allowed", "refused", "bound"),
    [
        ("seed", "0", "-1", "at least 0"),
        ("seed", "4294967295", "4294967296", "less than 2**32"),
        ("data.shards", "1", "0", "at least 1"),
        ("data.shards", "1000000", "1000001", "at most 1000000"),
        ("data.shuffle_chunks", "100000", "100001", "at most 100000"),
        ("data.threads", "1000", "1001", "at most 1000"),
        ("model.latent_dim", "1", "0", "at least 1"),
        ("model.width", "1", "0", "at least 1"),
        ("model.latent_dim", "10000", "10001", "at most 10000"),
        ("model.width", "2000", "2001", "at most 2000"),
        ("model.classes", "1000000", "1000001", "at most 1000000"),
        ("optimizer.generator.learning_rate", "1e-9", "0", "greater than 0"),
        ("optimizer.discriminator.learning_rate", "1e-9", "-0.1", "greater than 0"),
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
def test_a_value_out_of_bounds_is_told_with_its_key_and_the_bound(
    config_file: Path, key: str, allowed: str, refused: str, bound: str
) -> None:
    message = refusal(config_file, DATA, f"--{key}={refused}")
    assert message.startswith(f"{config_file} or command line: {key} is {refused}")
    assert message.endswith(f"; it must be {bound}")
    load(config_file, [f"--{key}={allowed}"])


@pytest.mark.parametrize("key", ["train.discriminator_steps", "train.accumulate"])
def test_more_work_in_a_step_than_anyone_wants_is_refused(config_file: Path, key: str) -> None:
    most = {"train.discriminator_steps": 1000, "train.accumulate": 100_000}[key]
    words = ["--train.update=alternating", "--train.batch_size=100000"]
    message = refusal(config_file, DATA, *words, f"--{key}={most + 1}")
    assert message.endswith(f"{key} is {most + 1}; it must be at most {most}")
    load(config_file, [*words, f"--{key}={most}"])


def number_keys(section: type, prefix: str = "") -> Iterator[str]:
    """Return the dotted keys whose values may be numbers."""
    for name, kind in get_type_hints(section).items():
        if dataclasses.is_dataclass(kind):
            yield from number_keys(kind, f"{prefix}{name}.")
        elif {int, float} & {kind, *get_args(kind)}:
            yield f"{prefix}{name}"


def test_every_number_has_bounds(config_file: Path) -> None:
    keys = list(number_keys(Config))
    assert {"seed", "run.time_limit", "optimizer.generator.clip_norm"} <= set(keys)
    for key in keys:
        assert f"{key} is -1" in refusal(config_file, DATA, f"--{key}=-1")


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
    ],
)
def test_what_a_file_may_not_say_nobody_may(config_file: Path, text: str) -> None:
    told = refusal(config_file, f"{DATA}{text}\n")
    with pytest.raises(ConfigError) as caught:
        from_yaml(f"{DATA}{text}\n", "step_1.h5")
    assert str(caught.value).startswith("step_1.h5: ")
    assert "\n" not in str(caught.value)
    assert str(config_file) in told


def test_a_learning_rate_that_is_no_number_is_refused(config_file: Path) -> None:
    message = refusal(config_file, DATA + "optimizer: {generator: {learning_rate: .nan}}\n")
    assert message.endswith("learning_rate is nan; it must be a finite number")


@pytest.mark.parametrize("text", ["seed: 1\n", "data: {}\n", "data: {images: x}\n"])
def test_the_one_key_without_a_default_is_asked_for(config_file: Path, text: str) -> None:
    assert refusal(config_file, text) == (
        f"{config_file}: key 'data.files' is missing; it has no default"
    )


def test_no_file_at_all_is_refused(config_file: Path) -> None:
    message = refusal(config_file, "data: {files: []}\n")
    assert message == f"{config_file}: data.files is empty; name at least one HDF5 file"


@pytest.mark.parametrize("key", ["seed", "train.steps", "train.update", "data.files"])
def test_null_is_refused_where_a_value_is_needed(config_file: Path, key: str) -> None:
    *sections, last = key.split(".")
    text = f"{sections[0]}: {{{last}: null}}\n" if sections else f"{last}: null\n"
    assert refusal(config_file, text) == (
        f"{config_file}: {key} is null; give it a value or leave it out"
    )


@pytest.mark.parametrize(
    ("text", "every_steps", "every_minutes"),
    [
        ("every_steps: null", None, None),
        ("every_minutes: auto", 500, "auto"),
        ("every_steps: null, every_minutes: 10", None, 10),
        ("every_minutes: 0.5", 500, 0.5),
        ("every_minutes: null", 500, None),
    ],
)
def test_checkpoints_are_made_by_steps_by_minutes_or_by_neither(
    config_file: Path, text: str, every_steps: int | None, every_minutes: float | str | None
) -> None:
    config_file.write_text(f"{DATA}checkpoint: {{{text}}}\n")
    made = load(config_file).checkpoint
    assert (made.every_steps, made.every_minutes) == (every_steps, every_minutes)
    words = [f"--checkpoint.{each.replace(': ', '=')}" for each in text.split(", ")]
    config_file.write_text(DATA)
    assert load(config_file, words).checkpoint == made


def test_a_word_other_than_auto_is_refused_for_minutes(config_file: Path) -> None:
    message = refusal(config_file, DATA + "checkpoint: {every_minutes: often}\n")
    assert "checkpoint.every_minutes" in message
    assert "often" in message


@pytest.mark.parametrize(("text", "held"), [("", "empty"), ("7", "7"), ("[1]", "[1]")])
def test_a_section_without_keys_is_told_by_its_name(
    config_file: Path, text: str, held: str
) -> None:
    assert refusal(config_file, f"{DATA}train: {text}\n") == (
        f"{config_file}: section 'train' is {held}; it must hold keys"
    )


def test_several_discriminator_steps_need_alternating_updates(config_file: Path) -> None:
    message = refusal(config_file, DATA + "train: {discriminator_steps: 2}\n")
    assert message == (
        f"{config_file}: train.discriminator_steps is 2, which needs train.update: alternating"
    )
    assert load(config_file, ["--train.update=alternating"]).train.discriminator_steps == 2


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.yaml"
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: there is no such config file"


@pytest.mark.parametrize("text", ["data: [\n", "a: b: c\n", "\tdata: 1\n", "? [1]\n: 2\n"])
def test_what_is_not_yaml_is_told(config_file: Path, text: str) -> None:
    assert refusal(config_file, text).startswith(f"{config_file}: not readable as YAML: ")


def test_bytes_that_are_no_text_are_told(config_file: Path) -> None:
    config_file.write_bytes(b"data: \xff\xfe\n")
    with pytest.raises(ConfigError, match="not readable as YAML"):
        load(config_file)


@pytest.mark.parametrize("text", ["", "just words\n", "- data\n", "7\n"])
def test_what_is_no_mapping_is_told(config_file: Path, text: str) -> None:
    message = refusal(config_file, text)
    assert message == f"{config_file}: a config is a mapping of sections, such as 'data: ...'"


@pytest.mark.parametrize("call", ["apply:os.system", "apply:builtins.exec", "new:os.system"])
def test_a_yaml_tag_runs_nothing(config_file: Path, tmp_path: Path, call: str) -> None:
    trap = tmp_path / "trap"
    command = f"open({str(trap)!r}, 'w')" if "exec" in call else f"touch {trap}"
    text = f'data: {{files: [!!python/object/{call} ["{command}"]]}}\n'
    assert "could not determine a constructor for the tag" in refusal(config_file, text)
    with pytest.raises(ConfigError):
        from_yaml(text, "checkpoint")
    config_file.write_text(DATA)
    with pytest.raises(ConfigError):
        load(config_file, [f'--data.files=[!!python/object/{call} ["{command}"]]'])
    assert not trap.exists()


texts = st.one_of(
    st.text(st.characters(codec="utf-8")),
    st.from_regex(r"[-+]?[0-9_]+\.?[0-9_]*[eE][-+]?[0-9]+", fullmatch=True),
    st.sampled_from(
        ["~", "yes", "1", "0x1f", "2020-01-01", "null", "[a]", "{a: b}", "!!x", "a: b", ".5"]
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
            labels=st.sampled_from([None, "labels", "train/y", "1e3", "7", "[a]"]),
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
    assert from_yaml(to_yaml(config), "origin") == config


@pytest.mark.parametrize("name", presets())
def test_presets_run_by_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = load(name, ["--train.steps=7"])
    assert config.name == name
    assert config.data.files == [f"{name}.h5"]
    assert config.train.steps == 7


def test_a_file_goes_before_a_preset_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("digits").write_text("name: mine\n" + DATA)
    assert load("digits").name == "mine"


def test_an_unknown_preset_is_told_with_those_there_are() -> None:
    with pytest.raises(
        ConfigError, match="digit: there is no such config file, nor preset: those "
    ):
        load("digit")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--train.accumulate=3"], "train.accumulate is 3, which does not divide train.batch_size"),
        (["--train.augment=[color,color]"], "train.augment names something twice"),
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
def test_games_that_cannot_be_played_are_told(
    config_file: Path, words: list[str], message: str
) -> None:
    config_file.write_text(DATA)
    with pytest.raises(ConfigError, match=re.escape(message)):
        load(config_file, words)


def test_every_key_is_written(config_file: Path) -> None:
    config_file.write_text(DATA)
    config = load(config_file)
    assert yaml.safe_load(to_yaml(config)) == dataclasses.asdict(config)


def test_what_cannot_be_read_again_is_told_with_its_origin() -> None:
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
    ],
)
def test_a_key_that_makes_another_run_is_a_difference(key: str, value: object) -> None:
    old = Config(data=DataConfig(files=["a.h5"]))
    before = old
    for part in key.split("."):
        before = getattr(before, part)
    assert differences(old, changed(old, key, value)) == {key: f"{key}: {before} -> {value}"}
    assert is_defining(key)
    assert is_changeable(key) == key.endswith("learning_rate")


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
    assert not is_defining(key)


@pytest.mark.parametrize("value", [".inf", "-.inf"])
def test_numbers_that_are_not_finite_are_refused(config_file: Path, value: str) -> None:
    text = DATA + f"optimizer: {{generator: {{learning_rate: {value}}}}}\n"
    assert "optimizer.generator.learning_rate is" in refusal(config_file, text)


def test_a_path_in_the_place_of_a_section_is_not_followed(config_file: Path) -> None:
    (config_file.parent / "model.yaml").write_text("name: dcgan\n")
    text = DATA + f"model: {config_file.parent / 'model.yaml'}\n"
    assert "section 'model' is" in refusal(config_file, text)
    with pytest.raises(ConfigError, match="section 'model' is"):
        from_yaml(text, "step_1.h5")
    with pytest.raises(ConfigError, match="unknown key 'config'"):
        from_yaml(DATA + f"config: {config_file}\n", "step_1.h5")
