"""The help of keys: all are told, with the texts of their dataclasses."""

from __future__ import annotations

import pytest

from hpcgan.config_file import keys_help
from hpcgan.config_values import keys


@pytest.mark.parametrize("key", keys())
def test_every_key_of_the_configuration_has_a_text(key: str) -> None:
    _, found, text = keys_help().partition(f"\n  --{key} ")
    assert found
    told, has_type, _ = " ".join(text.partition("\n  --")[0].split()).partition("type: ")
    assert has_type
    assert len(told.split()) > 3  # what stands for the value, and some words


def test_what_is_no_option_is_not_told() -> None:
    """jsonargparse has options for files of sections, and for further items of lists."""
    words = keys_help().replace(",", " ").split()
    assert {word[2:] for word in words if word.startswith("--")} == {*keys(), "run-dir"}
