"""Labels that name their samples: a table (name, label), or StyleGAN's dataset.json."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from data_tools.account import Account
from hpcgan.errors import DataError

_DIGITS = re.compile(r"[+-]?[0-9]+")
_SHOWN = 3  # names in a message


def pairs(content: bytes) -> list[list[Any]]:
    """Return the names and labels in StyleGAN's dataset.json; none if it says that there are none.

    Raises:
        ValueError: it is no such file.
    """
    try:
        found = json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, dict) or "labels" not in found:
        raise ValueError('it has no "labels"')
    labels = found["labels"] or []
    for each in labels if isinstance(labels, list) else [labels]:
        if not isinstance(each, list) or len(each) != 2 or not isinstance(each[0], str):
            raise ValueError('its "labels" are no pairs of a name and a label')
    return labels


def read_json(path: Path, names: Sequence[str], account: Account) -> np.ndarray:
    """Return the labels of named samples in StyleGAN's dataset.json.

    Raises:
        DataError: it is no such file, or not one of these samples.
    """
    try:
        found = pairs(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable as StyleGAN's dataset.json: {error}") from None
    return matched(found, names, str(path), account)


def read_csv(path: Path, column: str | None, names: Sequence[str], account: Account) -> np.ndarray:
    """Return the labels of named samples in a table: a name and labels in each line.

    Args:
        path: of the table, with commas or tabs, with a line of headers or without.
        column: header of the labels; None for all columns but the first, which has the names.
        names: of the samples.
        account: gets what was done.

    Raises:
        DataError: it is no such table, or not one of these samples.
    """
    rows = _rows(path)
    has_header = column is not None or _way_of([rows[0][0]], names) is None
    header, rows = (rows[0], rows[1:]) if has_header else ([], rows)
    if has_header:
        account.note(f"the first line of {path.name} taken for its headers")
    if column is not None:
        if column not in header[1:]:
            raise DataError(
                f"{path}: there is no column '{column}'; its columns are: {', '.join(header[1:])}"
            )
        place = header.index(column, 1)
        rows = [[row[0], row[place]] for row in rows]
    labels = _labels([row[1:] for row in rows], path)
    pairs_of_rows = [[row[0], label] for row, label in zip(rows, labels, strict=True)]
    return matched(pairs_of_rows, names, str(path), account)


def _rows(path: Path) -> list[list[str]]:
    """Return the lines of a table, all of the same number of columns, two or more."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text[: text.find("\n")] if "\n" in text else text
        separator = "\t" if "\t" in first else ","
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        rows = [[cell.strip() for cell in row] for row in reader if row]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: not readable as a table: {error}") from None
    if not rows or len(rows[0]) < 2:
        raise DataError(f"{path}: must have a name and a label in each line, separated by , or tab")
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise DataError(
                f"{path}: row {number + 1} has {len(row)} columns, and the first {len(rows[0])}"
            )
    return rows


def _labels(rows: list[list[str]], path: Path) -> list[Any]:
    """Return the label of each row: a text, a number if all are numbers, or several numbers."""
    numbers = [[_number(cell) for cell in row] for row in rows]
    are_numbers = all(number is not None for row in numbers for number in row)
    if rows and len(rows[0]) == 1:
        return [row[0] for row in (numbers if are_numbers else rows)]
    if not are_numbers:
        raise DataError(
            f"{path}: its columns are not all numbers; --labels {path}:NAME takes the one of that "
            "header"
        )
    return numbers


def _number(cell: str) -> int | float | None:
    """Return what a cell holds; None if it is no number."""
    if _DIGITS.fullmatch(cell):
        return int(cell)
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


def matched(
    rows: Sequence[Sequence[Any]], names: Sequence[str], origin: str, account: Account
) -> np.ndarray:
    """Return the labels of named samples, in their order.

    Args:
        rows: names and labels: numbers, texts, or lists of numbers.
        names: of the samples: they are looked for as they are, then without their folders, then
            without suffix too.
        origin: what begins messages.
        account: gets what was done.

    Raises:
        DataError: a sample has no label or several, or the labels are of several kinds.
    """
    if not names:
        raise DataError(f"{origin}: names samples, but those of this source have no names")
    own = [row[0] for row in rows]
    way = _way_of(own, names)
    if way is None:
        raise DataError(
            f"{origin}: it names no sample: {', '.join(own[:_SHOWN]) or 'it is empty'}; the names "
            f"of the samples are {', '.join(names[:_SHOWN])}"
        )
    keys = [way(name) for name in names]
    found = dict(zip(map(_of_row(way), own), (row[1] for row in rows), strict=True))
    _refuse(origin, "are named more than once", Counter(map(_of_row(way), own)), keys)
    _refuse(origin, "are names of several samples", Counter(keys), keys)
    missing = [name for name, key in zip(names, keys, strict=True) if key not in found]
    if missing:
        raise DataError(
            f"{origin}: {len(missing)} of {len(names)} samples have no label: "
            f"{', '.join(missing[:_SHOWN])}{', ...' if len(missing) > _SHOWN else ''}"
        )
    wanted = set(keys)
    account.note_all(
        f"labels in {PurePosixPath(origin).name} of names that no sample has",
        [name for name in own if _of_row(way)(name) not in wanted],
    )
    return _array([found[key] for key in keys], origin)


def _array(labels: list[Any], origin: str) -> np.ndarray:
    """Return labels as an array: (N,), or (N, K) of float64."""
    kinds = {type(each) for each in labels}
    if kinds == {list}:
        try:
            return np.array(labels, np.float64)
        except (ValueError, TypeError):
            raise DataError(f"{origin}: its lists of labels are not all K numbers") from None
    if str in kinds:  # "1" among names of classes is a name
        return np.array([str(each) for each in labels])
    if not kinds <= {int, float, bool}:
        raise DataError(f"{origin}: its labels are neither numbers nor texts nor lists of numbers")
    try:
        return np.array(labels)
    except OverflowError:
        raise DataError(f"{origin}: a label is beyond 64 bits") from None


def _refuse(origin: str, what: str, counts: Counter[str], keys: Sequence[str]) -> None:
    """Refuse names that occur more than once."""
    several = [key for key in dict.fromkeys(keys) if counts[key] > 1]
    if several:
        raise DataError(
            f"{origin}: {len(several)} names {what}: {', '.join(several[:_SHOWN])}"
            f"{', ...' if len(several) > _SHOWN else ''}"
        )


def _whole(name: str) -> str:
    return name.removeprefix("./")


def _file_name(name: str) -> str:
    return name.rpartition("/")[2]


def _stem(name: str) -> str:
    return PurePosixPath(name).stem


def _of_row(way: Callable[[str], str]) -> Callable[[str], str]:
    """Return how a table's names are looked at: those without suffix have none to take off."""
    return _file_name if way is _stem else way


def _way_of(rows: Sequence[str], names: Sequence[str]) -> Callable[[str], str] | None:
    """Return the first way to look at names in which some row names a sample."""
    for way in (_whole, _file_name, _stem):
        keys = {way(name) for name in names}
        if any(_of_row(way)(row) in keys for row in rows):
            return way
    return None
