"""The configuration: what a file and the command line may hold, and the message of each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcgan.config import Config, DataConfig, OptimizerConfig, TrainConfig
from hpcgan.config_file import load, presets
from hpcgan.errors import ConfigError
from tests.refusals import DATA, refusal


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
def test_an_unknown_key_is_refused_with_the_nearest_known_one(
    config_file: Path, text: str, unknown: str, nearest: str
) -> None:
    assert refusal(config_file, DATA + text) == (
        f"{config_file}: unknown key '{unknown}'; the nearest known one is '{nearest}'"
    )


def test_an_unknown_key_like_no_other_is_refused_alone(config_file: Path) -> None:
    assert refusal(config_file, DATA + "xyzzy: 1\n") == f"{config_file}: unknown key 'xyzzy'"


@pytest.mark.parametrize(
    ("section", "key", "value", "expected"),
    [
        ("train", "steps", "many", "a whole number"),
        ("train", "steps", "1.5", "a whole number"),
        ("train", "batch_size", "[8]", "a whole number"),
        ("model", "name", "rasnet", "mlp, dcgan, resnet or volume"),
        ("parallel", "mode", "spilt", "synchronous or split"),
        ("checkpoint", "every_minutes", "often", "a number, auto or null"),
        ("model", "attention", "maybe", "true or false"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_its_key_and_what_is_expected(
    config_file: Path, section: str, key: str, value: str, expected: str
) -> None:
    message = f"{section}.{key} is {value}; it must be {expected}"
    in_file = refusal(config_file, f"{DATA}{section}: {{{key}: {value}}}\n")
    assert in_file == f"{config_file}: {message}"
    on_command_line = refusal(config_file, DATA, f"--{section}.{key}", value)
    assert on_command_line == f"command line: {message}"


@pytest.mark.parametrize("text", ["seed: 1\n", "data: {}\n", "data: {images: x}\n"])
def test_the_one_key_without_a_default_is_required(config_file: Path, text: str) -> None:
    assert refusal(config_file, text) == (
        f"{config_file}: key 'data.files' is missing; it has no default"
    )


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


@pytest.mark.parametrize(("text", "held"), [("", "empty"), ("7", "7"), ("[1]", "[1]")])
def test_a_section_without_keys_is_refused_by_name(config_file: Path, text: str, held: str) -> None:
    assert refusal(config_file, f"{DATA}train: {text}\n") == (
        f"{config_file}: section 'train' is {held}; it must hold keys"
    )


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.yaml"
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == f"{path}: there is no such config file"


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


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ConfigError, match="digit: there is no such config file, nor preset: those "
    ):
        load("digit")


@pytest.mark.parametrize("where", ["file", "command line"])
def test_one_value_stands_for_a_list_of_one(config_file: Path, where: str) -> None:
    keys = {"data.files": "b.h5", "train.augment": "color"}
    words = [f"--{key}={value}" for key, value in keys.items()]
    if where == "file":
        words = []
        config_file.write_text("data: {files: b.h5}\ntrain: {augment: color}\n")
    else:
        config_file.write_text(DATA)
    config = load(config_file, words)
    assert config.data.files == ["b.h5"]
    assert config.train.augment == ["color"]


def test_a_path_to_the_file_may_begin_with_a_variable(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERE", str(config_file.parent))
    config_file.write_text(DATA)
    assert load("$HERE/run.yaml").data.files == ["a.h5"]


def test_paths_of_the_run_stay_as_they_are_written(config_file: Path) -> None:
    config_file.write_text("data: {files: [~/a.h5, $NOWHERE/b.h5], stage: $TMPDIR/x}\n")
    data = load(config_file).data
    assert (data.files, data.stage) == (["~/a.h5", "$NOWHERE/b.h5"], "$TMPDIR/x")
