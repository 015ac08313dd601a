"""``hpcgan scale report DIR``: what a study found, as a table, CSV, curves and a page.

All files of DIR/runs and DIR/quality count, of whatever job: they are merged by kind and number of
ranks.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from hpcgan.errors import ConfigError
from hpcgan.files import write_whole
from hpcgan.scaling import draw, page, table
from hpcgan.scaling.quality import read_quality
from hpcgan.scaling.runs import read_runs
from hpcgan.scaling.summary import points, summarize, warnings


def write(directory: Path) -> None:
    """Print the table of a study and write report.csv, report.png, report.html and points.json.

    Raises:
        ConfigError: there are no runs, or they do not belong together.
        RunError: a file cannot be written.
    """
    runs = read_runs(directory)
    rows = summarize(runs.values(), read_quality(directory, runs))
    print(table.text(rows))
    for warning in warnings(rows):
        print(f"warning: {warning}")
    content = {"report.csv": table.to_csv(rows).encode()}
    content["points.json"] = (json.dumps([asdict(each) for each in points(rows)]) + "\n").encode()
    picture = None
    try:
        picture = content["report.png"] = draw.picture(rows)
    except ConfigError as error:
        print(f"no curves: {error}")
    content["report.html"] = page.render(directory.resolve().name, rows, picture).encode()
    for name, bytes_ in content.items():
        write_whole(directory / name, bytes_)
    print(f"written to {directory}: {', '.join(sorted(content))}")
