"""The help of keys, in ``hpcgan train --help`` and in docs/training.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hpcgan.config import KEYS
from hpcgan.config_file import keys_help
from hpcgan.config_table import with_table
from hpcgan.config_values import allowed


def squeezed(text: str) -> str:
    """Return a text without space: argparse breaks lines at hyphens, too."""
    return "".join(text.split())


@pytest.mark.parametrize("key", KEYS)
def test_every_key_has_its_text_type_bounds_and_default(key: str) -> None:
    _, found, rest = keys_help().partition(f"\n  --{key} ")
    assert found
    shown = squeezed(rest.partition("\n  --")[0])
    assert len(KEYS[key].help.split()) > 1
    assert squeezed(f"{KEYS[key].help} ({allowed(KEYS[key])}") in shown
    assert ("default:" in shown) == (key != "data.files")


def test_the_help_shows_what_a_key_may_be() -> None:
    shown = squeezed(keys_help())
    for words in (
        "(a whole number, at least 1; default: 1000)",
        "(a number or null, at least 0, less than 1; default: null)",
        "(none, sqrt, linear or sde; default: none)",
        "(a list, [A, B], each text)",
    ):
        assert squeezed(words) in shown


def test_there_are_no_options_but_keys() -> None:
    assert set(re.findall(r"^  --(\S+) ", keys_help(), re.MULTILINE)) == set(KEYS)


def test_the_table_in_the_docs_is_that_of_the_dataclasses() -> None:
    document = Path(__file__).parents[1] / "docs" / "training.md"
    text = document.read_text(encoding="utf-8")
    assert "| `train.steps` | `1000` |" in with_table(text)
    assert with_table(text) == text, "run: python -m hpcgan.config_table docs/training.md"
