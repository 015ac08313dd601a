"""What is known of a key of the configuration: type, default, help, bounds, changes on resuming.

All of it is in the dataclass of the key's section (``config``): the help in its docstring, the rest
in the annotation and default of the key.

    steps: Annotated[int, Bounds(at_least=1), OnResume.FREE] = 1000
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

# "    key: its text", whose further lines are indented more.
_ARGUMENT = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


class OnResume(enum.Enum):
    """Whether a run may resume with another value of a key, or of any key of a section."""

    FIXED = "fixed"  # the value defines the run; the default
    ALLOW_CHANGE = "--allow-change"
    FREE = "free"


@dataclass(frozen=True)
class Bounds:
    """The finite numbers that a key, or each item of its list, may be; None for no bound."""

    at_least: float | None = None
    greater_than: float | None = None
    at_most: float | None = None
    less_than: float | None = None

    def broken(self, value: float) -> str:
        """Return the bound that a number breaks, in words; "" for none."""
        if isinstance(value, float) and not math.isfinite(value):  # an int may be too large for it
            return "a finite number"
        for name, bound in self._given().items():
            if not _HOLDS[name](value, bound):
                return f"{name} {bound}"
        return ""

    def __str__(self) -> str:
        return ", ".join(f"{name} {bound}" for name, bound in self._given().items())

    def _given(self) -> dict[str, float]:
        named = {name.replace("_", " "): bound for name, bound in vars(self).items()}
        return {name: bound for name, bound in named.items() if bound is not None}


_HOLDS: dict[str, Callable[[float, float], bool]] = {
    "at least": operator.ge,
    "greater than": operator.gt,
    "at most": operator.le,
    "less than": operator.lt,
}


@dataclass(frozen=True)
class Key:
    """What is known of one key.

    Attributes:
        type: str, int, float, bool, Literal, a list of them, a mapping of texts to them, or a union
            of these and None.
        default: ``dataclasses.MISSING`` for none.
        help: its text in the docstring, on one line.
        bounds: without any for what is no number.
        on_resume: whether its value may change.
    """

    type: Any
    default: Any
    help: str
    bounds: Bounds
    on_resume: OnResume

    @property
    def written_default(self) -> str:
        """The default as it is written in YAML; "" for none."""
        has_none = self.default is dataclasses.MISSING
        return "" if has_none else json.dumps(self.default).strip('"')


def keys_of(
    section: type, prefix: str = "", on_resume: OnResume = OnResume.FIXED
) -> dict[str, Key]:
    """Return the keys of a section, then those of the sections in it, by their dotted names.

    Args:
        section: a dataclass. Without docstrings (python -OO) its keys have no help.
        prefix: what their names begin with.
        on_resume: of the keys and sections in it that are not annotated with one.
    """
    own: dict[str, Key] = {}
    inner: dict[str, Key] = {}
    types = get_type_hints(section, include_extras=True)
    texts = dict(_ARGUMENT.findall(inspect.getdoc(section) or ""))
    for field in dataclasses.fields(section):
        name, hint = f"{prefix}{field.name}", types[field.name]
        kind, *about = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        changes = next((each for each in about if isinstance(each, OnResume)), on_resume)
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            inner |= keys_of(kind, f"{name}.", changes)
        else:
            bounds = next((each for each in about if isinstance(each, Bounds)), Bounds())
            make = field.default_factory
            default = field.default if make is dataclasses.MISSING else make()
            text = " ".join(texts.get(field.name, "").split())
            own[name] = Key(kind, default, text, bounds, changes)
    return own | inner
