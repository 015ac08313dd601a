"""``hpcgan scale report DIR``: what a study found, as a table, CSV, curves and a page.

All files of DIR/runs and DIR/quality count, of whatever job: they are merged by kind and number of
ranks. Training runs directly below DIR, as those of a sweep, are compared beside them, and so are
the curves of a quality study (``quality_report``).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from hpcgan.errors import ConfigError
from hpcgan.files import write_whole
from hpcgan.scaling import draw, quality_report, sweep, table
from hpcgan.scaling.runs import Run, read_quality, read_runs, settings
from hpcgan.scaling.summary import Row, by_kind, measured_points, summarize, warnings


def write(directory: Path) -> None:
    """Print the tables of DIR and write report.html; report.csv, report.png and points.json of a
    study, sweep.csv of training runs.

    Raises:
        ConfigError: there are no runs, or they do not belong together.
        RunError: a file cannot be written.
    """
    trained, by_quality = sweep.read(directory), quality_report.write(directory)
    is_study = any((directory / "runs").glob("*.json")) or not (trained or by_quality)
    runs = read_runs(directory) if is_study else {}
    rows = summarize(runs.values(), read_quality(directory, runs))
    content: dict[str, bytes] = {}
    if rows:
        print(table.text(rows), *(f"warning: {each}" for each in warnings(rows)), sep="\n")
        content["report.csv"] = table.to_csv(rows).encode()
        points = [vars(point) for point in measured_points(rows)]
        content["points.json"] = f"{json.dumps(points)}\n".encode()
        try:
            content["report.png"] = draw.study(rows)
        except ConfigError as error:
            print(f"no curves: {error}")
    if trained:
        print(sweep.text(trained))
        content["sweep.csv"] = sweep.to_csv(trained).encode()
    name = directory.resolve().name
    if rows or trained:
        content["report.html"] = _page(name, rows, content.get("report.png"), trained).encode()
    for path, bytes_ in content.items():
        write_whole(directory / path, bytes_)
    print(f"written to {directory}: {', '.join(sorted([*content, *by_quality]))}")


def _page(
    name: str, rows: Sequence[Row], picture: bytes | None, trained: Sequence[sweep.Trained]
) -> str:
    """Return the page, which needs no other file and no network."""
    pages = Environment(
        loader=PackageLoader("hpcgan.scaling"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    runs = [run for row in rows for run in row.runs]
    configs = {run.kind: settings(run.kind, run.config) for run in runs}
    return pages.get_template("report.html.j2").render(
        name=name,
        rows=rows,
        kinds=by_kind(rows),
        warnings=warnings(rows),
        picture=base64.b64encode(picture).decode() if picture else None,
        runs=runs,
        traffic=dict.fromkeys(_traffic(run) for run in runs),
        programs=dict.fromkeys(", ".join(map(" ".join, run.versions.items())) for run in runs),
        configs={kind: yaml.safe_dump(each, sort_keys=False) for kind, each in configs.items()},
        trained=trained,
        sweep=sweep,
        table=table,
    )


def _traffic(run: Run) -> str:
    """Return in words what a rank sends in a step."""
    sent = run.traffic
    parts = [
        (sent["exchanges"], sent["gradient_bytes"], "averaged over all ranks"),
        (sent["group_exchanges"], sent["group_bytes"], "averaged within a group of ranks"),
        (sent["hand_overs"], sent["hand_over_bytes"], "handed over"),
    ]
    return ", ".join(f"{bytes_:.0f} {what}" for number, bytes_, what in parts if number)
