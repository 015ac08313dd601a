"""``hpcgan scale report DIR``: what a study found, as a table, CSV, curves and a page.

All files of DIR/runs and DIR/quality count, of whatever job: they are merged by kind and number of
ranks. Training runs directly below DIR, as those of a sweep, are compared beside them.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from hpcgan.errors import ConfigError
from hpcgan.files import write_whole
from hpcgan.scaling import draw, page, sweep, table
from hpcgan.scaling.quality import read_quality
from hpcgan.scaling.runs import read_runs
from hpcgan.scaling.summary import Row, points, summarize, warnings


def write(directory: Path) -> None:
    """Print the tables of DIR and write report.html; report.csv, report.png and points.json of a
    study, sweep.csv of training runs.

    Raises:
        ConfigError: there are no runs, or they do not belong together.
        RunError: a file cannot be written.
    """
    trained = sweep.read(directory)
    is_study = not trained or any((directory / "runs").glob("*.json"))
    runs = read_runs(directory) if is_study else {}
    rows = summarize(runs.values(), read_quality(directory, runs)) if runs else []
    content: dict[str, bytes] = {}
    if rows:
        print(table.text(rows))
        for warning in warnings(rows):
            print(f"warning: {warning}")
        content |= _study_files(rows)
    if trained:
        print(sweep.text(trained))
        content["sweep.csv"] = sweep.to_csv(trained).encode()
    name = directory.resolve().name
    content["report.html"] = page.render(name, rows, content.get("report.png"), trained).encode()
    for path, bytes_ in content.items():
        write_whole(directory / path, bytes_)
    print(f"written to {directory}: {', '.join(sorted(content))}")


def _study_files(rows: list[Row]) -> dict[str, bytes]:
    """Return the figures of a study, and its curves if they can be drawn."""
    content = {"report.csv": table.to_csv(rows).encode()}
    content["points.json"] = (json.dumps([asdict(each) for each in points(rows)]) + "\n").encode()
    try:
        content["report.png"] = draw.picture(rows)
    except ConfigError as error:
        print(f"no curves: {error}")
    return content
