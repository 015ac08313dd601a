"""The words of ``hpcgan scale``."""

from __future__ import annotations

import argparse

import pytest

from hpcgan.command import Parser
from hpcgan.errors import ConfigError
from hpcgan.scaling import commands


def parse(words: str) -> argparse.Namespace:
    parser = Parser("hpcgan")
    commands.add(parser.add_subparsers())
    return parser.parse_args(["scale", *words.split()])


def test_a_study_has_its_numbers_in_order() -> None:
    found = parse("weak c.yaml --ranks 4,1,2,1 --out d --seconds 0.5 --quality 100")
    assert (found.kind, found.ranks, found.repeats) == ("weak", [1, 2, 4], 3)
    assert (found.seconds, found.quality) == (0.5, 100)
    assert parse("strong c.yaml --ranks 2 --out d").kind == "strong"


def test_a_link_has_a_latency_and_a_bandwidth() -> None:
    assert parse("predict d --sizes 8 --link 0,12.5e9").link == (0, 12.5e9)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("weak c.yaml --out d --ranks 0", "'0' is no whole number from 1"),
        ("weak c.yaml --out d --ranks 1,x", "'x' is no whole number from 1"),
        ("weak c.yaml --out d --ranks 1 --seconds 0", "'0' is no number of seconds above 0"),
        ("weak c.yaml --out d --ranks 1 --seconds nan", "'nan' is no number of seconds above 0"),
        ("weak c.yaml --out d --ranks 1 --seconds 5s", "'5s' is no number of seconds above 0"),
        ("predict d --sizes 8 --link 1e-6", "'1e-6' is not SECONDS,BYTES"),
        ("predict d --sizes 8 --link 1e-6,x", "'1e-6,x' is not SECONDS,BYTES"),
        ("predict d --sizes 8 --link 1e-6,0", "'1e-6,0' is not SECONDS,BYTES"),
        ("predict d --sizes 8 --link=-1,1e9", "'-1,1e9' is not SECONDS,BYTES"),
    ],
)
def test_words_that_are_wrong_are_named(words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(words)
