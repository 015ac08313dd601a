"""``hpcgan scale predict DIR``: the cost model, fitted to a study's points, on other sizes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hpcgan.errors import ConfigError
from hpcgan.files import check_is_file, write_whole, writing
from hpcgan.scaling import draw_prediction
from hpcgan.scaling.model import Link
from hpcgan.scaling.points import EAGER, TRIPS, read_points
from hpcgan.scaling.predict import Prediction, predict, text
from hpcgan.scaling.runs import read_runs


def write(
    directory: Path, sizes: Sequence[int], out: Path, link: tuple[float, float] | None
) -> None:
    """Print what is foretold for each kind that the study has, and write predict.txt and .png.

    Args:
        directory: of a study that has a report.
        sizes: numbers of ranks; of a strong curve those that its batch can be divided over.
        out: where the files go.
        link: latency in seconds and bytes a second between nodes, if the study had one.

    Raises:
        ConfigError: there is no report, or the model cannot be fitted to its points.
        RunError: a file cannot be written.
    """
    path = directory / "points.json"
    check_is_file(path, f"file; make it with hpcgan scale report {directory}", ConfigError)
    points = read_points([path])
    machine = {"between": Link(*link, trips=TRIPS, eager=EAGER)} if link else {}
    images = {run.kind: (run.samples, run.images) for run in read_runs(directory).values()}
    found = []
    if "weak" in images:
        # The model would take the largest batch, which may be a strong study's.
        work = {"samples": images["weak"][0]}
        found.append(predict(points, sizes, "weak", machine=machine, work=work))
    if "strong" in images:
        batch = images["strong"][1]
        within = [size for size in sizes if size <= batch]
        if len(within) < len(sizes):
            print(f"strong scaling: a batch of {batch} samples is for as many ranks at most")
        found.append(predict(points, within, "strong", batch, machine=machine))
    _show(found, out)


def _show(found: Sequence[Prediction], out: Path) -> None:
    """Print the tables and write them, and the curves."""
    lines = "\n\n".join(map(text, found))
    print(lines)
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    write_whole(out / "predict.txt", f"{lines}\n".encode())
    try:
        write_whole(out / "predict.png", draw_prediction.picture(found))
    except ConfigError as error:  # there is no matplotlib
        print(f"no curves: {error}")
    print(f"written to {out}: predict.txt and, with matplotlib, predict.png")
