"""The comparison with published results: what it computes; how far off it is, it prints."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from hpcgan.scaling.model import Model
from tests.scaling.published import CASES, Case, sensitivity, text, with_assumptions


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.ranks}")
def test_efficiencies_are_predicted(case: Case) -> None:
    assert 0 < case.predicted < 1
    assert math.isfinite(case.error)
    assert case.error == pytest.approx(case.predicted / case.efficiency - 1)
    assert with_assumptions(case) == case


def test_the_tables_have_all_cases() -> None:
    assert len(text().splitlines()) == 1 + len(CASES)
    assert len(sensitivity().splitlines()) == 1 + 4 * 3


def test_overlap_hides_the_exchange_behind_its_share_of_the_compute_time() -> None:
    model = Model(
        samples=1,
        compute_fixed=1.0,
        compute_per_sample=0,
        gradient_bytes=1e6,
        overhead=0.01,
        negotiations=0,
        between_bandwidth=1e6,
        between_latency=0,
    )
    case = Case("two ranks", model, baseline=1, ranks=2, efficiency=1.0, overlap=0.4)
    assert case.step(2).exchange == pytest.approx(1.0 - 0.4 + 0.01)
    small = replace(case, overlap=1.0, model=replace(model, gradient_bytes=1e5))
    assert small.step(2).exchange == pytest.approx(0.01)
    assert case.step(1).exchange == 0
