"""The comparison with published results is computed; how far off it is, is told, not asserted."""

from __future__ import annotations

import math

import pytest

from hpcgan.scaling.published import CASES, Case, sensitivity, text, with_assumptions


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.ranks}")
def test_efficiencies_are_foretold(case: Case) -> None:
    assert 0 < case.foretold < 1
    assert math.isfinite(case.error)
    assert case.error == pytest.approx(case.foretold / case.efficiency - 1)
    assert with_assumptions(case) == case


def test_the_tables_have_all_cases() -> None:
    assert len(text().splitlines()) == 1 + len(CASES)
    assert len(sensitivity().splitlines()) == 1 + 4 * 3
