"""Values as people write them: taken as meant, or refused in words that say what to write."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import yaml

from hpcgan.values import Unfit, read

Name = Literal["none", "sqrt"]


def value(text: str, kind: Any) -> Any:
    """Return what a YAML text is read as."""
    return read(yaml.compose(f"key: {text}").value[0][1], kind)


def refusal(text: str, kind: Any) -> str:
    """Return what is said of a YAML text."""
    with pytest.raises(Unfit) as caught:
        value(text, kind)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("7", 7),
        ("-7", -7),
        ("0", 0),
        ("1e3", 1000),
        ("1.5e3", 1500),
        ("1000.0", 1000),
        ("1_000", 1000),
        ("0x1F", 31),
        ('"64"', 64),
    ],
)
def test_whole_numbers(text: str, meant: int) -> None:
    found = value(text, int)
    assert found == meant
    assert type(found) is int
    assert type(value(text, int | None)) is int


@pytest.mark.parametrize(
    ("text", "meant"),
    [("1", 1.0), ("1e-3", 0.001), (".5", 0.5), ("-2.", -2.0), ("1_000.5", 1000.5), ("2E4", 2e4)],
)
def test_numbers(text: str, meant: float) -> None:
    found = value(text, float)
    assert found == meant
    assert type(found) is float


@pytest.mark.parametrize("text", [".inf", "-.inf", "inf", ".INF"])
def test_the_bounds_are_left_to_refuse_what_is_not_finite(text: str) -> None:
    assert value(text, float) == float(text.replace(".", ""))
    assert value(".nan", float) != value(".nan", float)


@pytest.mark.parametrize("kind", [int, float])
@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("010", "write 10: a 0 before it means octal to some"),
        ("-007", "write -7: a 0 before it means octal to some"),
        ("23:30", "write a time as one number, in the key's unit"),
        ("1:2:30", "write a time as one number, in the key's unit"),
        ("0,0002", "write 0.0002, with a point"),
        ("2,5e-4", "write 2.5e-4, with a point"),
        ("1,000", "write 1000, or 1.000 if that is meant"),
        ("30m", "write the number alone, in the key's unit"),
        ("2 GB", "write the number alone, in the key's unit"),
    ],
)
def test_a_number_of_two_meanings_is_told_how_to_write_it(text: str, hint: str, kind: type) -> None:
    words = {int: "a whole number", float: "a number"}[kind]
    assert refusal(text, kind).startswith(f"{text}; it must be {words}; {hint}")


@pytest.mark.parametrize("text", ["0b1", "0o7", "1__0", "true", "2024-01-01", "x", "٣", "[1]"])
@pytest.mark.parametrize("kind", [int, float])
def test_what_is_no_number_is_refused(text: str, kind: type) -> None:
    words = {int: "a whole number", float: "a number"}[kind]
    assert refusal(text, kind) == f"{text}; it must be {words}"


@pytest.mark.parametrize("text", ["1.5", "1.5e0", "1e-3", "1e400", "1e16", ".inf", "1" * 5000])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    assert refusal(text, int).endswith("; it must be a whole number")


def test_a_number_beyond_all_floats_is_not_finite() -> None:
    assert value("1" + "0" * 400, float) == float("inf")


@pytest.mark.parametrize("text", ["true", "True", "yes", "on", "ON", '"true"'])
def test_true(text: str) -> None:
    assert value(text, bool) is True


@pytest.mark.parametrize("text", ["false", "FALSE", "no", "off"])
def test_false(text: str) -> None:
    assert value(text, bool) is False
    assert value(text, bool | None) is False


@pytest.mark.parametrize("text", ["1", "0", "y", "truth"])
def test_what_is_neither_is_refused(text: str) -> None:
    assert refusal(text, bool) == f"{text}; it must be true or false"


@pytest.mark.parametrize(
    "text", ["no", "yes", "010", "1e3", "23:30", "2024-01-01", "0x1f", "true", "7", "none", ".5"]
)
def test_text_is_as_it_is_written(text: str) -> None:
    assert value(text, str) == text
    assert value(f"[{text}]", list[str]) == [text]


@pytest.mark.parametrize("text", ["", "~", "null", "NULL", "none", "None"])
@pytest.mark.parametrize("kind", [int | None, float | None, str | None, list[float] | None])
def test_null_where_it_may_be(text: str, kind: Any) -> None:
    assert value(text, kind) is None


@pytest.mark.parametrize("text", ["", "~", "null", "Null"])
@pytest.mark.parametrize("kind", [int, float, bool, str, Name, list[str]])
def test_null_where_it_may_not_be(text: str, kind: Any) -> None:
    assert refusal(text, kind) == "null; give it a value or leave it out"


@pytest.mark.parametrize("text", ["", "~", "null", "none", "None"])
def test_in_quotes_it_is_text(text: str) -> None:
    assert value(f"'{text}'", str | None) == text


def test_a_word_that_is_allowed_goes_before_null() -> None:
    assert value("none", Name | None) == "none"
    assert value("none", Name) == "none"
    assert value("auto", float | Literal["auto"] | None) == "auto"
    assert value("2", float | Literal["auto"] | None) == 2
    assert value("1", Literal[1]) == 1


def test_other_words_are_refused_with_those_that_are_allowed() -> None:
    assert refusal("no", Name) == "no; it must be none or sqrt"
    assert refusal("often", float | Literal["auto"] | None) == (
        "often; it must be a number, auto or null"
    )
    assert refusal("2", Literal[1]) == "2; it must be 1"


def test_one_value_stands_for_a_list_of_one() -> None:
    assert value("a.h5", list[str]) == ["a.h5"]
    assert value("sqrt", list[Name]) == ["sqrt"]
    assert value("[1, 2.5]", list[float] | None) == [1.0, 2.5]


def test_what_is_wrong_in_a_list_is_told() -> None:
    assert refusal("[a, 2]", list[float] | None) == "a; it must be a number"
    assert refusal("[no]", list[Name]) == "no; it must be none or sqrt"
    assert refusal("[[a]]", list[str]) == "[a]; it must be text"
    assert refusal("no", list[Name]) == (
        "no; it must be a list, [A, B], and each of it none or sqrt"
    )


def test_what_is_shown_is_one_short_line() -> None:
    assert refusal('"a\\nb"', int).startswith("'a\\nb'; ")
    assert refusal("{a: [1, 2], b: 3}", str) == "{a: [1, 2], b: 3}; it must be text"
    assert refusal("x" * 100, int) == f"{'x' * 60}...; it must be a whole number"
