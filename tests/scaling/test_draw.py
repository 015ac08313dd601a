"""The curves: how many there are, and what a reader can see of them."""

from __future__ import annotations

import struct

import pytest

from hpcgan.scaling import draw
from hpcgan.scaling.model import Model
from hpcgan.scaling.predict import strong, weak
from hpcgan.scaling.summary import summarize
from tests.scaling.made import made, trained

ROWS = summarize([made(), made(ranks=2, step=0.11), made(ranks=4, step=0.125, oversubscribed=True)])


def size(picture: bytes) -> tuple[int, int]:
    """Return width and height of a PNG file, its first numbers."""
    assert picture.startswith(b"\x89PNG")
    return struct.unpack(">II", picture[16:24])


def test_each_kind_has_a_line_and_so_has_its_quality() -> None:
    width, height = size(draw.study(ROWS))
    both = [made(), made("strong", 2)]
    assert size(draw.study(summarize(both))) == (width, 2 * height)
    quality = [trained("weak", 1, (0, 0.0, 90.0), (800, 20.0, 10.0))]
    assert size(draw.study(summarize(both, quality))) == (width, 3 * height)


def test_a_prediction_has_a_line_for_each_kind() -> None:
    model = Model(samples=8, compute_fixed=0.01, compute_per_sample=1e-3, overhead=1e-3)
    one, other = weak(model, [], [1, 4, 1000], 8), strong(model, [], [1, 2, 8], 8)
    width, height = size(draw.prediction([one]))
    assert size(draw.prediction([one, other])) == (width, 2 * height)


def test_points_with_more_ranks_than_cores_are_seen_hollow(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **options: figures.append(self))
    draw.study(ROWS)
    speed_up, efficiency, _ = figures[0].axes
    for axes, number in ((speed_up, 1), (efficiency, 2)):
        hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
        assert len(hollow) == number
        others = [line.get_zorder() for line in axes.lines if line not in hollow]
        for line in hollow:
            assert line.get_xdata()[0] == pytest.approx(4, rel=0.03)
            assert line.get_zorder() > max(others)  # nothing is drawn over it
