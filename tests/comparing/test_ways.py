"""The ways of a file, and the baselines that they call for."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcgan.comparing import ways
from hpcgan.comparing.ways import Way
from hpcgan.config import Config
from hpcgan.errors import ConfigError


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a directory with a configuration."""
    (tmp_path / "config.yaml").write_text("data: {files: [a.h5]}\ntrain: {batch_size: 8}\n")
    return tmp_path


def _read(place: Path, text: str, *words: str) -> list[Way]:
    (place / "ways.yaml").write_text(text)
    return ways.read(place / "ways.yaml", str(place / "config.yaml"), list(words))


def _by_name(found: list[Way]) -> dict[str, Config]:
    return {way.name: way.config for way in found}


def test_a_way_changes_keys_by_sections_or_dotted(place: Path) -> None:
    text = "plain: {}\nlinear: {optimizer: {scaling: linear}, train.batch_size: 4}\n"
    plain, linear = _read(place, text, "--train.batch_size=6")
    assert (plain.name, linear.name) == ("plain", "linear")
    assert (plain.config.train.batch_size, linear.config.train.batch_size) == (6, 4)
    assert linear.config.optimizer.scaling == "linear"
    assert not plain.is_added
    assert linear.baselines == []


def test_the_synchronous_way_is_first_and_is_added_where_it_is_missing(place: Path) -> None:
    found = _read(place, "linear: {optimizer.scaling: linear}\nstale: {train.staleness: 1}\n")
    assert [way.name for way in found] == ["synchronous", "linear", "stale"]
    assert [way.is_added for way in found] == [True, False, False]
    assert found[0].config.optimizer.scaling == "none"


def test_a_split_is_set_against_the_same_staleness_on_one_group(place: Path) -> None:
    found = _read(place, "split: {parallel: {mode: split, generator_ranks: 1}}\n")
    assert found[1].baselines == ["split on one group"]
    one = _by_name(found)["split on one group"]
    assert (one.parallel.mode, one.parallel.generator_ranks) == ("synchronous", None)
    assert one.train.staleness == 1


def test_a_baseline_that_is_a_way_already_is_not_added(place: Path) -> None:
    found = _read(place, "split: {parallel.mode: split}\nstale: {train.staleness: 1}\nplain: {}\n")
    assert [way.name for way in found] == ["plain", "split", "stale"]
    assert found[1].baselines == ["stale"]


def test_several_discriminators_are_set_against_one(place: Path) -> None:
    text = "local: {train: {discriminators: 4, swap_every: 9}, optimizer.scaling: sqrt}\n"
    found = _read(place, text)
    one = _by_name(found)["local with one D"]
    assert (one.train.discriminators, one.train.swap_every) == (1, None)
    assert one.optimizer.scaling == "sqrt"


def test_a_tournament_is_set_against_the_best_of_as_many_and_one_run_on_all_ranks(
    place: Path,
) -> None:
    text = (
        "pop: {parallel.population: 4, tournament.every: 10, data.shards: 2, "
        "optimizer.scaling: sqrt}\n"
    )
    found = _read(place, text)
    configs, (pop,) = _by_name(found), [way for way in found if way.name == "pop"]
    assert pop.baselines == ["pop without tournament", "pop as one run"]
    alone = configs["pop without tournament"]
    assert (alone.parallel.population, alone.tournament.every) == (4, None)
    one = configs["pop as one run"]
    assert (one.parallel.population, one.tournament.every) == (1, None)
    assert one.data.shards == 8  # those of all members
    assert one.optimizer.scaling == "sqrt"
    # The baseline without tournament has one of its own, which is there already.
    assert [way.name for way in found] == [
        *("synchronous", "pop"),
        *("pop without tournament", "pop as one run"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a, b]\n", r"ways\.yaml: ways are a mapping of names"),
        ("a:\n", r"way 'a': is .*; write \{\} for no change"),
        ("a: {train: {step: 4}}\n", r"way 'a': unknown key 'train\.step'; the nearest .*train\.st"),
        ("a: {train.steps: 4}\n", r"way 'a': train\.steps is the same for all ways"),
        ("a: {seed: 4}\n", "way 'a': seed is the same for all ways"),
        ("a: {data.files: [b.h5]}\n", r"way 'a': data\.files is the same for all ways"),
        ("a: {tournament.data: [b.h5]}\n", r"way 'a': tournament\.data is the same for all"),
        ("a/b: {}\n", "way 'a/b': name is 'a/b'; it must be the name of a directory"),
        ("a: {}\na: {}\n", "'a' is given twice"),
        ("a: {train.discriminators: 2, parallel.mode: split}\n", r"way 'a'.* trains one; use"),
    ],
)
def test_a_wrong_file_is_refused(place: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        _read(place, text)


@pytest.mark.parametrize(
    "word", ["--train.steps=5", "--log.every_steps=2", "--evaluate.every_steps=5"]
)
def test_an_option_without_effect_is_refused(place: Path, word: str) -> None:
    with pytest.raises(ConfigError, match=f"command line: {word.partition('=')[0]} has no effect"):
        _read(place, "a: {}\n", word)


def test_held_out_data_may_be_given(place: Path) -> None:
    (way,) = _read(place, "a: {}\n", "--evaluate.held_out=[b.h5]")
    assert way.config.evaluate.held_out == ["b.h5"]


EXAMPLES = Path(__file__).parents[2] / "examples" / "ways"


def test_the_example_of_four_ranks_has_all_its_baselines() -> None:
    found = ways.read(EXAMPLES / "four-ranks.yaml", "digits", [])
    assert not any(way.is_added for way in found)
    assert {way.name: way.baselines for way in found if way.baselines} == {
        "split 2+2": ["staleness 1"],
        "local D": ["synchronous"],
        "best of 4": ["synchronous"],
        "tournament of 4": ["best of 4", "synchronous"],
    }


def test_the_example_of_populations_has_all_its_baselines() -> None:
    found = ways.read(EXAMPLES / "populations.yaml", "fashion", [])
    assert [way.name for way in found if way.is_added] == []
    by_name = {way.name: way for way in found}
    assert by_name["truncation, rates drawn"].baselines == ["best of 4, rates drawn", "one run"]
    assert by_name["tournament by D"].baselines == ["best of 4", "one run"]
