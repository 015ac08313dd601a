"""The validation over links: what it refuses, and what it prints; its measuring is a benchmark."""

from __future__ import annotations

import os
from collections import defaultdict

import pytest

from benchmarks import links
from tests.scaling.made import made


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
    for cable in (links.FITTED, *links.OTHERS):
        step = 0.11 if cable is links.FITTED else 0.6
        for model, size in zip(links.MODELS, (4_000_000, 1_000_000), strict=True):
            times = {"compute_seconds": [[0.1, 0.1]] * 2, "gradient_bytes": size}
            found[cable, model] = [made(ranks=2, step=step, baseline=0.1, nodes=2, **times)]
    fast = {model: links.point(found[links.FITTED, model]) for model in links.MODELS}
    links.tell(found, fast, links.fit_fast(fast))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    predicted = {tuple(line[:-6]): float(line[-4]) for line in lines[3:-1]}
    assert predicted["no", "limit", "dcgan"] == pytest.approx(110, abs=0.5)
    # 4 MB at 119.55 and 23.91 MB/s; two hops of three trips, and 1.5 all-reduces before.
    assert predicted["1", "Gbit/s", "dcgan"] == pytest.approx(110 + 33.5, abs=0.5)
    assert predicted["200", "Mbit/s", "dcgan"] == pytest.approx(110 + 167.3, abs=0.5)
    assert predicted["200", "Mbit/s", "mlp"] == pytest.approx(110 + 41.8, abs=0.5)
    assert predicted["1", "ms", "dcgan"] == pytest.approx(110 + 7.5, abs=0.5)
    assert lines[-1][-4:] == ["80.4%", "(wanted:", "below", "15%)"]
