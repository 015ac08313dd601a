"""What the members of a population differ in."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from hpcgan import varied
from hpcgan.config import Config, DataConfig, ParallelConfig
from hpcgan.config_file import from_yaml, load, to_yaml
from hpcgan.config_population import PopulationConfig
from tests.refusals import DATA, refusal

RATE = "optimizer.generator.learning_rate"


def made(vary: dict, members: int = 3, seed: int = 0) -> Config:
    return Config(
        data=DataConfig(files=["a.h5"]),
        seed=seed,
        parallel=ParallelConfig(population=members),
        population=PopulationConfig(vary),
    )


def test_a_list_has_a_value_for_each_member() -> None:
    config = made({RATE: [0.1, 0.2, 0.3], "loss.r1": [0.0, 1.0, 2.0]})
    assert varied.values(config, 1) == {RATE: 0.2, "loss.r1": 1.0}
    changed = varied.with_value(config, RATE, 0.2)
    assert changed.optimizer.generator.learning_rate == 0.2
    assert changed.optimizer.discriminator == config.optimizer.discriminator


def test_what_is_drawn_lies_log_uniformly_between_its_bounds() -> None:
    config = made({RATE: {"log": [1e-4, 1e-2]}}, members=2000)
    logs = [math.log10(varied.values(config, member)[RATE]) for member in range(2000)]
    assert -4 <= min(logs) < -3.99
    assert -2.01 < max(logs) <= -2
    assert sum(logs) / 2000 == pytest.approx(-3, abs=4 * 2 / math.sqrt(12 * 2000))


def test_what_is_drawn_depends_on_seed_key_and_member_alone() -> None:
    bounds = {"log": [1e-4, 1e-2]}
    one = made({RATE: bounds})
    both = made({"loss.r1": bounds, RATE: bounds}, members=4)
    assert varied.values(one, 2)[RATE] == varied.values(both, 2)[RATE]
    drawn = [*varied.values(both, 1).values(), *varied.values(both, 2).values()]
    drawn += varied.values(made({RATE: bounds}, seed=1), 2).values()
    assert len(set(drawn)) == 5


@pytest.mark.parametrize(
    ("vary", "said"),
    [
        ("{train.steps: [1, 2]}", "train.steps cannot differ between members; what can: optim"),
        ("{loss.r1: [1, 2, 3]}", "loss.r1 has 3 values, and parallel.population is 2"),
        ("{loss.r1: [1, -2]}", "loss.r1 is -2.0; it must be at least 0"),
        ("{loss.r1: {log: [0, 1]}}", "loss.r1 is {'log': [0.0, 1.0]}; give a list of values, or"),
        ("{loss.r1: {log: [2, 1]}}", "loss.r1 is {'log': [2.0, 1.0]}; give a list of values, or"),
        ("{loss.r1: {lin: [1, 2]}}", "loss.r1 is {'lin': [1.0, 2.0]}; give a list of values, or"),
        ("{train.ema: {log: [0.9, 1.5]}}", "train.ema is 1.5; it must be less than 1"),
    ],
)
def test_what_no_population_can_have_is_refused(config_file: Path, vary: str, said: str) -> None:
    text = f"{DATA}parallel: {{population: 2}}\npopulation: {{vary: {vary}}}\n"
    assert refusal(config_file, text).startswith(f"{config_file}: population.vary: {said}")


@pytest.mark.parametrize("text", ["[1]", "abc", "{loss.r1: {log: {a: b}}}", "{loss.r1: x}"])
def test_what_is_no_mapping_of_numbers_is_refused(config_file: Path, text: str) -> None:
    said = refusal(config_file, f"{DATA}population: {{vary: {text}}}\n")
    assert "population.vary is " in said
    assert said.endswith("it must be a mapping, {KEY: VALUE}")


def test_it_is_read_from_file_and_options_and_written_again(config_file: Path) -> None:
    config_file.write_text(DATA)
    vary = "{loss.r1: [1, 2], train.ema: {log: [0.9, 0.99]}}"
    words = ["--parallel.population=2", f"--population.vary={vary}"]
    config = load(config_file, words)
    assert config.population.vary == {"loss.r1": [1.0, 2.0], "train.ema": {"log": [0.9, 0.99]}}
    assert from_yaml(to_yaml(config), "text") == config
