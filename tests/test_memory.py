"""How much memory there is, and bytes in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcgan.memory import format_bytes, free_memory, free_shared_memory


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (2.5e6, "2.5 MB"), (3e15, "3e+03 TB")]
)
def test_bytes_in_units(count: float, text: str) -> None:
    assert format_bytes(count) == text


def test_free_memory_is_no_more_than_the_machine_has() -> None:
    (total,) = (
        int(line.split()[1]) * 1024
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemTotal:")
    )
    assert 0 < free_memory() <= total
    assert 0 < free_shared_memory() <= total
