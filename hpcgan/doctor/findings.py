"""What the doctor prints: findings, as lines for people and as JSON for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Literal

Status = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        status: ok; warning, where a run works but slowly or less safely; or failed.
        text: what was found, on one line.
        advice: what to do, if it is not ok.
        figures: what was measured, in the units of the names.
    """

    status: Status
    text: str
    advice: str = ""
    figures: dict[str, float] = field(default_factory=dict)


Findings = dict[str, Finding]  # by the names of the checks


def ok(text: str, **figures: float) -> Finding:
    """Return a finding of which nothing need be done."""
    return Finding("ok", text, figures=figures)


def warning(text: str, advice: str, **figures: float) -> Finding:
    """Return a finding with which a run works, but slowly or less safely."""
    return Finding("warning", text, advice, figures)


def failed(text: str, advice: str, **figures: float) -> Finding:
    """Return a finding with which a run fails, or gives wrong results."""
    return Finding("failed", text, advice, figures)


def as_text(findings: Findings) -> str:
    """Return a line each, with what to do on a second one, and a last line that counts."""
    lines = []
    for check, found in findings.items():
        lines.append(f"{found.status:<8} {check:<16} {found.text}")
        if found.advice:
            lines.append(f"{'':<25} -> {found.advice}")
    counts = Counter(found.status for found in findings.values())
    each = ", ".join(f"{counts[status]} {status}" for status in ("failed", "warning", "ok"))
    return "\n".join([*lines, f"hpcgan doctor: {each}"])


def as_json(findings: Findings) -> str:
    """Return an object with the worst ``status`` and all ``findings``, on one line."""
    every = [{"check": check, **asdict(found)} for check, found in findings.items()]
    return json.dumps({"status": worst(findings), "findings": every})


def worst(findings: Findings) -> Status:
    """Return the worst status of some findings, ok if there are none."""
    order: list[Status] = ["ok", "warning", "failed"]
    return max((each.status for each in findings.values()), key=order.index, default="ok")


def listed(names: Iterable[object], most: int = 4) -> str:
    """Return names in a row, the first ``most`` of them by name and the others counted."""
    every = [str(name) for name in names]
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more
