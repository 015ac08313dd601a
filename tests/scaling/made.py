"""Starts of a study as they would be measured, made up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hpcgan.scaling.model import Traffic
from hpcgan.scaling.runs import Quality, QualityPoint, Run, Segment, Start, to_json


def made(
    kind: str = "weak",
    ranks: int = 1,
    step: float = 0.1,
    baseline: float | list[float] = 0.1,
    nodes: int = 1,
    **changes: Any,
) -> Run:
    """Return a run of 8 samples per shard.

    Args:
        kind: weak, or strong with 4 shards.
        ranks: how many.
        step: seconds of every rank with the exchange.
        baseline: seconds without it, of all ranks or of each; a tenth of it waits for samples.
        nodes: with as many ranks each.
        changes: other attributes.
    """
    alone = baseline if isinstance(baseline, list) else [baseline] * ranks
    shards = ranks if kind == "weak" else 4
    values: dict[str, Any] = {
        "kind": kind,
        "started": "2026-01-02T03:04:05+00:00",
        "job": None,
        "hosts": [f"node{rank * nodes // ranks}" for rank in range(ranks)],
        "cores": [2] * ranks,
        "oversubscribed": False,
        "config": {"name": "made <up>", "data": {"files": ["a.h5"], "shards": shards}},
        "images": 8 * shards,
        "samples": 8 * shards // ranks,
        "generator_ranks": 0,
        "traffic": traffic(),
        "exchange": [Segment(10, [10 * step] * ranks, [0.0] * ranks)] * 3,
        "baseline": [Segment(10, [10 * each for each in alone], list(alone))] * 3,
        "compute_seconds": [[0.9 * each, 1.1 * each] for each in alone],
        "skipped": 0,
        "versions": {"hpcgan": "0.1.0"},
    }
    return Run(**(values | changes))


def traffic(**changes: Any) -> dict[str, Any]:
    """Return one all-reduce of 4,000 bytes, with other attributes of ``Traffic``."""
    return vars(replace(Traffic(gradient_bytes=4000), **changes))


def trained(kind: str, ranks: int, *points: tuple[int, float, float]) -> Quality:
    """Return a training run of the configuration of ``made``.

    Args:
        kind: weak or strong.
        ranks: how many.
        points: images, seconds and Fréchet distance of each.
    """
    run = made(kind, ranks)
    found = [QualityPoint(*point) for point in points]
    return Quality(kind, run.started, run.hosts, run.config, found)


def write(directory: Path, *starts: Start) -> None:
    """Write starts as a study's directory."""
    for number, start in enumerate(starts):
        place = directory / ("runs" if isinstance(start, Run) else "quality")
        place.mkdir(parents=True, exist_ok=True)
        name = f"{start.kind}-{start.ranks}-{number}.json"
        (place / name).write_text(to_json(start))
