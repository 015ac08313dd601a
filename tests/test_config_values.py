"""Values as people write them: read as meant, or refused with what to write."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from hpcgan.config import KEYS
from hpcgan.config_file import load
from tests import refusals
from tests.refusals import DATA

# A key of each type.
WHOLE, WHOLE_OR_NULL = "train.steps", "data.shards"
NUMBER, NUMBER_OR_NULL = "loss.auxiliary", "loss.gradient_penalty"
BOOLEAN, BOOLEAN_OR_NULL = "model.attention", "data.align"
TEXT, TEXT_OR_NULL = "data.images", "data.labels"
WORD, MINUTES = "optimizer.scaling", "checkpoint.every_minutes"
TEXTS, WORDS, NUMBERS_OR_NULL = "data.files", "train.augment", "model.label_range"


@pytest.fixture(params=["file", "option"])
def where(request: pytest.FixtureRequest, config_file: Path) -> tuple[Path, str]:
    """Return a path for a file, and whether the values are in it or on the command line."""
    return config_file, request.param


Where = tuple[Path, str]


def words(where: Where, key: str, text: str) -> tuple[str, list[str]]:
    """Return the text of a file, and the words of a command line."""
    if where[1] == "option":
        return DATA, [f"--{key}={text}"]
    return f"{DATA if key != TEXTS else ''}{key}: {text}\n", []


def value(where: Where, text: str, key: str) -> Any:
    """Return what a YAML text is read as."""
    content, options = words(where, key, text)
    where[0].write_text(content)
    return attrgetter(key)(load(where[0], options))


def refusal(where: Where, text: str, key: str) -> str:
    """Return what the error says of a YAML text."""
    content, options = words(where, key, text)
    message = refusals.refusal(where[0], content, *options)
    origin = "command line" if options else where[0]
    assert message.startswith(f"{origin}: {key} is ")
    return message.removeprefix(f"{origin}: {key} is ")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("7", 7),
        ("+7", 7),
        ("1e3", 1000),
        ("1.5e3", 1500),
        ("1000.0", 1000),
        ("1_000", 1000),
        ("0x1F", 31),
        ('"64"', 64),
        ("1" + "0" * 299, 10**299),
    ],
)
def test_whole_numbers(where: Where, text: str, meant: int) -> None:
    found = value(where, text, WHOLE)
    assert found == meant
    assert type(found) is int


def test_whole_numbers_where_there_may_be_none(where: Where) -> None:
    assert value(where, "1e3", WHOLE_OR_NULL) == 1000
    assert type(value(where, "1e3", WHOLE_OR_NULL)) is int


@pytest.mark.parametrize(
    ("text", "meant"),
    [("1", 1.0), ("1e-3", 0.001), (".5", 0.5), ("2.", 2.0), ("1_000.5", 1000.5), ("2E4", 2e4)],
)
def test_numbers(where: Where, text: str, meant: float) -> None:
    found = value(where, text, NUMBER)
    assert found == meant
    assert type(found) is float
    assert value(where, f"[-{text}, {text}]", NUMBERS_OR_NULL) == [-meant, meant]


@pytest.mark.parametrize("text", [".inf", "-.inf", ".INF", ".nan", "1" + "0" * 400])
def test_the_bounds_are_left_to_refuse_what_is_not_finite(config_file: Path, text: str) -> None:
    message = refusals.refusal(config_file, f"{DATA}{NUMBER}: {text}\n")
    assert message.endswith("; it must be a finite number")


@pytest.mark.parametrize("key", [WHOLE, NUMBER])
@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("010", "write 10: a 0 before it means octal to some"),
        ("-007", "write -7: a 0 before it means octal to some"),
        ("23:30", "write one number, in the key's unit"),
        ("1:2:30", "write one number, in the key's unit"),
        ("0,0002", "write 0.0002, with a point"),
        ("2,5e-4", "write 2.5e-4, with a point"),
        ("1,000", "write 1000, or 1.000 if that is meant"),
        ("30m", "write one number, in the key's unit"),
        ("2 GB", "write one number, in the key's unit"),
    ],
)
def test_a_number_of_two_meanings_is_refused_with_how_to_write_it(
    where: Where, text: str, hint: str, key: str
) -> None:
    expected = {WHOLE: "a whole number", NUMBER: "a number"}[key]
    assert refusal(where, text, key).startswith(f"{text}; it must be {expected}; {hint}")


@pytest.mark.parametrize(
    "text", ["0b1", "0o7", "1__0", "true", "2024-01-01", "x", "<<", "٣", "[1]"]
)
@pytest.mark.parametrize("key", [WHOLE, NUMBER])
def test_what_is_no_number_is_refused(where: Where, text: str, key: str) -> None:
    expected = {WHOLE: "a whole number", NUMBER: "a number"}[key]
    assert refusal(where, text, key) == f"{text}; it must be {expected}"


@pytest.mark.parametrize(
    "text", ["1.5", "1.5e0", "1e-3", "1e400", "1e16", ".inf", "1" * 301, "1" * 5000, "{a: 1}"]
)
def test_what_is_no_whole_number_is_refused(where: Where, text: str) -> None:
    assert refusal(where, text, WHOLE).endswith("; it must be a whole number")


@pytest.mark.parametrize("text", ["'010'", "23:30", "x", "null", "[1]"])
def test_what_is_no_number_in_a_list_is_refused(where: Where, text: str) -> None:
    shown = "'23:30'" if text == "23:30" else text
    assert refusal(where, f"[1, {text}]", NUMBERS_OR_NULL) == (
        f"[1, {shown}]; it must be null or a list, [A, B], each a number"
    )


@pytest.mark.parametrize("text", ["true", "True", "yes", "on", "ON", '"true"'])
def test_true(where: Where, text: str) -> None:
    assert value(where, text, BOOLEAN_OR_NULL) is True


@pytest.mark.parametrize("text", ["false", "FALSE", "no", "off"])
@pytest.mark.parametrize("key", [BOOLEAN, BOOLEAN_OR_NULL])
def test_false(where: Where, text: str, key: str) -> None:
    assert value(where, text, key) is False


@pytest.mark.parametrize("text", ["1", "0", "y", "truth"])
def test_what_is_neither_is_refused(where: Where, text: str) -> None:
    assert refusal(where, text, BOOLEAN) == f"{text}; it must be true or false"


@pytest.mark.parametrize(
    "text",
    ["no", "yes", "010", "1e3", "23:30", "2024-01-01", "0x1f", "true", "7", "none", ".5", "<<"],
)
def test_text_is_as_it_is_written(where: Where, text: str) -> None:
    assert value(where, text, TEXT) == text
    assert value(where, f"[{text}]", TEXTS) == [text]


@pytest.mark.parametrize("text", ["~", "null", "NULL", "none", "None"])
@pytest.mark.parametrize(
    "key", [WHOLE_OR_NULL, NUMBER_OR_NULL, BOOLEAN_OR_NULL, TEXT_OR_NULL, NUMBERS_OR_NULL]
)
def test_null_where_it_may_be(where: Where, text: str, key: str) -> None:
    assert value(where, text, key) is None


@pytest.mark.parametrize("text", ["~", "null", "Null"])
@pytest.mark.parametrize("key", [WHOLE, NUMBER, BOOLEAN, TEXT, WORD, TEXTS])
def test_null_where_it_may_not_be(where: Where, text: str, key: str) -> None:
    assert refusal(where, text, key) == "null; give it a value or leave it out"


def test_nothing_is_null_in_a_file(config_file: Path) -> None:
    assert value((config_file, "file"), "", TEXT_OR_NULL) is None
    assert refusal((config_file, "file"), "", TEXT) == "null; give it a value or leave it out"


@pytest.mark.parametrize("text", ["", "~", "null", "none", "None", " null "])
@pytest.mark.parametrize("key", [TEXT, TEXT_OR_NULL])
def test_in_quotes_it_is_text(where: Where, text: str, key: str) -> None:
    assert value(where, f"'{text}'", key) == text


@pytest.mark.parametrize("text", ["''", "'null'", "'~'"])
@pytest.mark.parametrize("key", [WHOLE, WHOLE_OR_NULL, NUMBER, BOOLEAN])
def test_in_quotes_it_is_no_number_either(where: Where, text: str, key: str) -> None:
    assert "; it must be " in refusal(where, text, key)


def test_a_word_that_is_allowed_goes_before_null(where: Where) -> None:
    assert value(where, "none", WORD) == "none"
    assert value(where, "auto", MINUTES) == "auto"
    assert value(where, "2", MINUTES) == 2


def test_other_words_are_refused_with_the_allowed_ones(where: Where) -> None:
    assert refusal(where, "no", WORD) == "no; it must be none, sqrt, linear or sde"
    assert refusal(where, "often", MINUTES) == "often; it must be a number, auto or null"


def test_one_value_stands_for_a_list_of_one(where: Where) -> None:
    assert value(where, "a.h5", TEXTS) == ["a.h5"]
    assert value(where, "color", WORDS) == ["color"]
    assert value(where, "[1, 2.5]", NUMBERS_OR_NULL) == [1.0, 2.5]


@pytest.mark.parametrize("text", ["no", "[no]", "[[color]]", "[null]"])
def test_what_is_wrong_in_a_list_is_refused(where: Where, text: str) -> None:
    shown = text.replace("[no]", "['no']")
    assert refusal(where, text, WORDS) == (
        f"{shown}; it must be a list, [A, B], each color, translation or cutout"
    )


@pytest.mark.parametrize("text", ["[[a]]", "[{a: b}]", "[null]"])
def test_a_text_in_a_list_is_one(where: Where, text: str) -> None:
    assert refusal(where, text, TEXTS) == f"{text}; it must be a list, [A, B], each text"


def test_what_is_shown_is_one_short_line(config_file: Path) -> None:
    where = (config_file, "file")
    assert refusal(where, '"a\\nb"', WHOLE).startswith("'a\\nb'; ")
    assert refusal(where, "{a: [1, 2], b: 3}", TEXT) == "{a: [1, 2], b: 3}; it must be text"
    assert refusal(where, "x" * 100, WHOLE) == f"{'x' * 60}...; it must be a whole number"


@pytest.mark.parametrize("key", KEYS)
def test_what_no_key_holds_is_refused_in_words(config_file: Path, key: str) -> None:
    """No type of a key appears in a message as Python writes it."""
    message = refusal((config_file, "file"), "{a: b}", key)
    assert message.startswith("{a: b}; it must be ")
    assert len(message) > len("{a: b}; it must be ")
    for word in ("class", "typing", "Literal", "None", "Parser"):
        assert word not in message
