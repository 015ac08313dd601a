"""The help of keys: all are told, with the texts of their dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from hpcgan.config import Config
from hpcgan.keys_help import describe
from hpcgan.sections import keys


@dataclass(frozen=True)
class Inner:
    """The inner one.

    Args:
        on: whether it is on, and whether this text, which is a long one, goes on in
            the next line: yes.
        words: some.
    """

    on: bool | None = None
    words: list[str] = field(default_factory=lambda: ["a", "b"])


@dataclass(frozen=True)
class Outer:
    """The outer one.

    Args:
        a_key_with_a_long_name: it has no default.
        rate: of it.
    """

    inner: Inner
    a_key_with_a_long_name: str
    rate: float = 0.5


def test_sections_keys_types_and_defaults_are_told() -> None:
    assert list(describe(Outer)) == [
        "The outer one.",
        "  --a_key_with_a_long_name",
        "                        it has no default. (text; required)",
        "  --rate                of it. (a number; default: 0.5)",
        "",
        "inner: The inner one.",
        "  --inner.on            whether it is on, and whether this text, which is a long",
        "                        one, goes on in the next line: yes. (true, false or",
        "                        null; default: null)",
        '  --inner.words         some. (a list; default: ["a", "b"])',
    ]


@dataclass(frozen=True)
class Silent:
    number: int = 1


def test_without_docstrings_keys_and_types_are_told() -> None:
    assert list(describe(Silent, "silent")) == [
        "silent",
        "  --silent.number       (a whole number; default: 1)",
    ]


@pytest.mark.parametrize("key", keys(Config))
def test_every_key_of_the_configuration_has_a_text(key: str) -> None:
    _, found, text = "\n".join(describe(Config)).partition(f"\n  --{key}")
    assert found
    assert text[0].isspace()  # the end of the key
    assert not text.lstrip().startswith("(")
