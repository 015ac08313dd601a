"""What the doctor says: findings, as lines for people and as JSON for programs."""

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
        check: its name.
        status: ok; warning, where a run works but slowly or less safely; or failed.
        text: what was found, on one line.
        advice: what to do, if it is not ok.
        figures: what was measured, in the units of the names.
    """

    check: str
    status: Status
    text: str
    advice: str = ""
    figures: dict[str, float] = field(default_factory=dict)


def ok(check: str, text: str, **figures: float) -> Finding:
    """Return a finding of which nothing need be done."""
    return Finding(check, "ok", text, figures=figures)


def warning(check: str, text: str, advice: str, **figures: float) -> Finding:
    """Return a finding with which a run works, but slowly or less safely."""
    return Finding(check, "warning", text, advice, figures)


def failed(check: str, text: str, advice: str, **figures: float) -> Finding:
    """Return a finding with which a run fails, or gives wrong results."""
    return Finding(check, "failed", text, advice, figures)


def as_text(findings: Iterable[Finding]) -> str:
    """Return a line each, with what to do on a second one, and a last line that counts."""
    findings = list(findings)
    lines = []
    for found in findings:
        lines.append(f"{found.status:<8} {found.check:<16} {found.text}")
        if found.advice:
            lines.append(f"{'':<25} -> {found.advice}")
    counts = Counter(found.status for found in findings)
    each = ", ".join(f"{counts[status]} {status}" for status in ("failed", "warning", "ok"))
    lines.append(f"hpcgan doctor: {each}")
    return "\n".join(lines)


def as_json(findings: Iterable[Finding]) -> str:
    """Return an object with the worst ``status`` and all ``findings``, on one line."""
    findings = list(findings)
    return json.dumps({"status": worst(findings), "findings": [asdict(each) for each in findings]})


def worst(findings: Iterable[Finding]) -> Status:
    """Return the worst status of some findings, ok if there are none."""
    found = {each.status for each in findings}
    for status in ("failed", "warning"):
        if status in found:
            return status
    return "ok"


def listed(names: Iterable[object], most: int = 4) -> str:
    """Return names in a row, the first ``most`` of them by name and the others counted."""
    every = [str(name) for name in names]
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def in_bytes(count: float) -> str:
    """Return bytes in a unit that leaves few digits."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
