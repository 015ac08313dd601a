"""``history.jsonl``: what happened to a run or a population, and when, a line each."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from hpcgan.files import writing


def note(run_dir: Path, event: str, step: int, **facts: Any) -> None:
    """Write a line of what has happened after ``step``.

    Raises:
        RunError: it cannot be written.
    """
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    path = run_dir / "history.jsonl"
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"time": when, "event": event, "step": step, **facts}) + "\n")
