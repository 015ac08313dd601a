"""A few of each of what ``make chaos`` does: kills, signals, ranks that die, damage."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import chaos

PARTS = chaos.parts(short=True)


@pytest.mark.parametrize("part", [name for name in PARTS if name != "fuzz"])  # tests/test_fuzz.py
def test_nothing_is_lost(part: str, tmp_path: Path) -> None:
    assert PARTS[part](tmp_path)
