"""The options of the command line that are keys of the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcgan.config_file import load
from tests.refusals import DATA, refusal


@pytest.mark.parametrize(
    ("unknown", "nearest"), [("train.step", "train.steps"), ("batch_size", "train.batch_size")]
)
@pytest.mark.parametrize("form", ["two words", "one word"])
def test_an_unknown_key_on_the_command_line_is_refused_with_the_nearest_known_one(
    config_file: Path, unknown: str, nearest: str, form: str
) -> None:
    words = [f"--{unknown}", "1"] if form == "two words" else [f"--{unknown}=1"]
    assert refusal(config_file, DATA, *words) == (
        f"command line: unknown key '{unknown}'; the nearest known one is '{nearest}'"
    )


def test_a_superfluous_word_on_the_command_line_is_refused(config_file: Path) -> None:
    message = refusal(config_file, DATA, "--train.steps", "7", "odd")
    assert message.endswith("unrecognized arguments: odd")


@pytest.mark.parametrize("form", ["two words", "one word"])
def test_values_are_text_as_it_is(config_file: Path, form: str) -> None:
    given = {
        "name": "no",
        "train.steps": "1e3",
        "data.files": "[b.h5, '*.h5']",
        "data.labels": "{a: b}",
        "data.stage": "*x: y",
        "data.images": "[a]",
        "model.attention": "yes",
        "data.shards": "null",
        "watch.drift_steps": "none",
    }
    if form == "two words":
        words = [word for key, value in given.items() for word in (f"--{key}", value)]
    else:
        words = [f"--{key}={value}" for key, value in given.items()]
    config_file.write_text(DATA + "data.shards: 3\nmodel.name: resnet\n")
    config = load(config_file, words)
    assert (config.name, config.train.steps, config.data.files) == ("no", 1000, ["b.h5", "*.h5"])
    assert (config.data.labels, config.data.stage, config.data.images) == ("{a: b}", "*x: y", "[a]")
    assert config.model.attention is True
    assert (config.data.shards, config.watch.drift_steps) == (None, None)


def test_null_in_quotes_is_text(config_file: Path) -> None:
    config_file.write_text(DATA)
    assert load(config_file, ["--data.labels", "'none'"]).data.labels == "none"
    assert load(config_file, ["--data.labels", "none"]).data.labels is None
    assert load(config_file, ["--data.labels", ""]).data.labels == ""


def test_the_last_of_an_option_given_twice_counts(config_file: Path) -> None:
    config_file.write_text(DATA)
    assert load(config_file, ["--seed=1", "--train.steps", "7", "--seed", "2"]).seed == 2


def test_a_value_may_begin_with_a_dash(config_file: Path) -> None:
    config_file.write_text(DATA)
    assert load(config_file, ["--data.images=-x"]).data.images == "-x"
    assert "seed is -1; it must be at least 0" in refusal(config_file, DATA, "--seed", "-1")


@pytest.mark.parametrize(
    "words", [["--seed"], ["--seed", "--train.steps", "7"], ["--model.attention", "-x"]]
)
def test_a_missing_value_is_refused(config_file: Path, words: list[str]) -> None:
    message = refusal(config_file, DATA, *words)
    assert message == (
        f"command line: {words[0]} needs a value after it, or {words[0]}=-X if it begins with a "
        "dash"
    )


def test_several_words_for_a_list_are_refused_with_the_brackets(config_file: Path) -> None:
    message = refusal(config_file, DATA, "--data.files", "a.h5", "b.h5")
    assert message == (
        "command line: give --data.files a list in brackets, [A,B]; unrecognized arguments: b.h5"
    )
    assert "not readable as YAML" in refusal(config_file, DATA, "--data.files=[a.h5")


@pytest.mark.parametrize("words", [["--train", "5"], ["--optimizer.generator", "{beta_1: 0.1}"]])
def test_a_section_is_no_option(config_file: Path, words: list[str]) -> None:
    assert refusal(config_file, DATA, *words) == (
        f"command line: '{words[0][2:]}' is a section; name one of its keys, too"
    )


@pytest.mark.parametrize("word", ["--", "--config", "-seed", "seed=1", "--print_config"])
def test_other_words_are_no_options(config_file: Path, word: str) -> None:
    message = refusal(config_file, DATA, word, "x")
    assert message.startswith("command line: un")
    assert word.lstrip("-") in message
