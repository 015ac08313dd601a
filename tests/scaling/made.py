"""Runs of a study as they would be measured, made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hpcgan.scaling import quality
from hpcgan.scaling.quality import Mark, Quality
from hpcgan.scaling.runs import Run, Segment, to_json


def made(
    kind: str = "weak",
    ranks: int = 1,
    step: float = 0.1,
    limit: float | list[float] = 0.1,
    nodes: int = 1,
    **changes: Any,
) -> Run:
    """Return a run of 8 samples a shard.

    Args:
        kind: weak, or strong with 4 shards.
        ranks: how many.
        step: seconds of every rank with the exchange.
        limit: seconds without it, of all ranks or of each; a tenth of it waits for samples.
        nodes: with as many ranks each.
        changes: other attributes.
    """
    limits = limit if isinstance(limit, list) else [limit] * ranks
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
        "gradient_bytes": 4000,
        "exchanges": 1,
        "exchange": [Segment(10, [10 * step] * ranks, [0.0] * ranks)] * 3,
        "limit": [Segment(10, [10 * each for each in limits], list(limits))] * 3,
        "compute_seconds": [[0.9 * each, 1.1 * each] for each in limits],
        "skipped": 0,
        "versions": {"hpcgan": "0.1.0"},
    }
    return Run(**(values | changes))


def learnt(kind: str, ranks: int, *marks: tuple[int, float, float]) -> Quality:
    """Return a training run of the configuration of ``made``.

    Args:
        kind: weak or strong.
        ranks: how many.
        marks: images, seconds and Fréchet distance of each.
    """
    config = made(kind, ranks).config
    found = [Mark(*mark) for mark in marks]
    return Quality(kind, "2026-01-02T03:04:05+00:00", ["node0"] * ranks, config, found)


def write_quality(directory: Path, *runs: Quality) -> None:
    """Write training runs into a study's directory."""
    (directory / "quality").mkdir(parents=True, exist_ok=True)
    for number, run in enumerate(runs):
        name = f"{run.kind}-{run.ranks}-{number}.json"
        (directory / "quality" / name).write_text(quality.to_json(run))


def write(directory: Path, *runs: Run) -> None:
    """Write runs as a study's directory."""
    (directory / "runs").mkdir(parents=True, exist_ok=True)
    for number, run in enumerate(runs):
        name = f"{run.kind}-{run.ranks}-{number}.json"
        (directory / "runs" / name).write_text(to_json(run))
