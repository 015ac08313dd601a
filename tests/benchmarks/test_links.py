"""The validation over links: what it refuses, and what it prints; its measuring is a benchmark."""

from __future__ import annotations

import os
from collections import defaultdict

import pytest

from benchmarks import links
from tests.scaling.made import made, traffic


def test_only_root_is_let_in(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("sys.argv", ["links"])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(links, "missing_programs", list)
    assert links.main() == 2
    assert capsys.readouterr().err.endswith("network namespaces: run it as root\n")


def test_what_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("sys.argv", ["links"])
    monkeypatch.setattr(links, "missing_programs", lambda: ["ip", "tc"])
    assert links.main() == 2
    assert capsys.readouterr().err.endswith("namespaces: install ip, tc\n")


def test_the_fit_sees_one_link_alone(capsys: pytest.CaptureFixture) -> None:
    """Steps of 0.1 s take 10 ms more over the fitted link, for two sizes, and 0.5 s over others."""
    found: links.Found = defaultdict(list)
    sent = {
        "dcgan": {"gradient_bytes": 4_000_000},
        "mlp": {"gradient_bytes": 1_000_000},
        "split": {"exchanges": 0, "hand_over_bytes": 2_000_000, "hand_overs": 1},
    }
    for cable in (links.FITTED, *links.OTHERS):
        step = 0.11 if cable is links.FITTED else 0.6
        for case, own in sent.items():
            times = {"compute_seconds": [[0.1, 0.1]] * 2, "traffic": traffic(**own)}
            found[cable, case] = [made(ranks=2, step=step, baseline=0.1, nodes=2, **times)]
    links.tell(found, links.FITTED, [links.FITTED, *links.OTHERS])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    places = [line.index("ms", 2) for line in lines[2:-1]]
    predicted = {
        tuple(line[: place - 1]): float(line[place + 1])
        for line, place in zip(lines[2:-1], places, strict=True)
    }
    assert predicted["no", "limit", "dcgan"] == pytest.approx(110, abs=0.5)
    # 4 MB at 119.55 and 23.91 MB/s; two hops of three trips, and 1.5 all-reduces before.
    assert predicted["1", "Gbit/s", "dcgan"] == pytest.approx(110 + 33.5, abs=0.5)
    assert predicted["200", "Mbit/s", "dcgan"] == pytest.approx(110 + 167.3, abs=0.5)
    assert predicted["200", "Mbit/s", "mlp"] == pytest.approx(110 + 41.8, abs=0.5)
    assert predicted["200", "Mbit/s", "split"] == pytest.approx(110 + 83.6, abs=0.5)
    assert predicted["1", "ms", "dcgan"] == pytest.approx(110 + 7.5, abs=0.5)
    assert lines[-1][-4:] == ["80.8%", "(wanted:", "below", "15%)"]
