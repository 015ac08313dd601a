"""The report's files and what is foretold from them."""

from __future__ import annotations

import csv
import io
import json
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hpcgan.errors import ConfigError
from hpcgan.scaling import foretell, report, table
from hpcgan.scaling.summary import summarize
from tests.scaling.made import made, write

WEAK = [
    made(ranks=ranks, step=step * factor, limit=0.1)
    for ranks, step in ((1, 0.1), (2, 0.11), (4, 0.125))
    for factor in (1.0, 1.02)
]
STRONG = [
    made("strong", ranks, step=step, limit=limit)
    for ranks, step, limit in ((1, 0.4, 0.4), (2, 0.21, 0.2), (4, 0.125, 0.1))
]


class Page(HTMLParser):
    """What a page holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [value or "" for _, value in attrs]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_report_has_all_its_files(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write(tmp_path, *WEAK, *STRONG)
    report.write(tmp_path)
    said = capsys.readouterr().out
    assert "weak scaling; medians [95% intervals]" in said
    assert "warning: strong, 4 ranks: started once, so there are no intervals" in said
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
    assert len(json.loads((tmp_path / "points.json").read_text())) == 6
    assert (tmp_path / "report.csv").read_text().count("\n") == 7


def test_the_page_is_whole_and_needs_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, *WEAK)
    report.write(tmp_path)
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    assert "http:" not in text
    assert "https:" not in text
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert [each[:22] for each in page.attributes if each.startswith("data:")] == [
        "data:image/png;base64,"
    ]
    words = " ".join(page.words)
    assert "made <up>" in words  # of the configuration, and no tag
    for word in ("speed-up", "of limit", "90.9%", "hpcgan 0.1.0", "node0"):
        assert word in words


def test_without_matplotlib_there_is_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    write(tmp_path, *WEAK)
    report.write(tmp_path)
    assert "no curves: curves need matplotlib: pip install 'hpcgan[plots]'" in (
        capsys.readouterr().out
    )
    assert not (tmp_path / "report.png").exists()
    assert "img" not in Page((tmp_path / "report.html").read_text()).tags


def test_the_csv_has_exact_values() -> None:
    runs = [made(), made(ranks=2, step=0.125, limit=0.1, oversubscribed=True)]
    first, second = csv.DictReader(io.StringIO(table.to_csv(summarize(runs))))
    assert first["speed_up"] == "1"
    assert second == {
        "kind": "weak",
        "ranks": "2",
        "nodes": "1",
        "starts": "1",
        "oversubscribed": "1",
        "step_ms": "125",
        "step_ms_low": "",
        "step_ms_high": "",
        "images_per_second": "128",
        "images_per_second_low": "",
        "images_per_second_high": "",
        "images_per_second_per_rank": "64",
        "images_per_second_per_rank_low": "",
        "images_per_second_per_rank_high": "",
        "speed_up": "1.6",
        "speed_up_low": "",
        "speed_up_high": "",
        "efficiency": "0.8",
        "efficiency_low": "",
        "efficiency_high": "",
        "limit_efficiency": "0.8",
        "limit_efficiency_low": "",
        "limit_efficiency_high": "",
        "compute_ms": "90",
        "input_ms": "10",
        "waiting_ms": "0",
        "exchange_ms": "25",
        "slowest": "rank 0 on node0",
    }


def test_the_table_marks_more_ranks_than_cores() -> None:
    runs = [made(), made(ranks=2, step=0.125, limit=0.1, oversubscribed=True)]
    lines = table.text(summarize(runs)).splitlines()
    assert lines[1].split()[:4] == ["ranks", "nodes", "starts", "ms/step"]
    assert lines[3].split()[:4] == ["2*", "1", "1", "125"]
    assert lines[3].split()[6:9] == ["1.60", "80.0%", "80.0%"]


def test_other_sizes_are_foretold(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    write(tmp_path, *WEAK, *STRONG)
    report.write(tmp_path)
    capsys.readouterr()
    foretell.write(tmp_path, [1, 4, 32, 1000], tmp_path, (1e-5, 1e9))
    said = capsys.readouterr().out
    assert said.count("fitted to 6 points") == 2
    assert "a batch of 32 samples is for as many ranks at most" in said
    weak = said[said.index("weak scaling") : said.index("strong scaling, milliseconds")]
    assert [line.split()[2] for line in weak.splitlines()[2:6]] == ["8"] * 4  # samples a rank
    assert (tmp_path / "predict.png").read_bytes().startswith(b"\x89PNG")
    assert "weak scaling" in (tmp_path / "predict.txt").read_text()


def test_nothing_is_foretold_without_a_report_or_a_link(tmp_path: Path) -> None:
    write(tmp_path, *WEAK)
    with pytest.raises(ConfigError, match=r"points\.json: .*make it with hpcgan scale report"):
        foretell.write(tmp_path, [8], tmp_path, None)
    report.write(tmp_path)
    with pytest.raises(ConfigError, match=r"give the link between nodes \(--link\)"):
        foretell.write(tmp_path, [8], tmp_path, None)


def test_too_few_points_are_told(tmp_path: Path) -> None:
    write(tmp_path, *WEAK[:4])
    report.write(tmp_path)
    with pytest.raises(ConfigError, match=r"2 unknowns .* 1 points with more than one rank"):
        foretell.write(tmp_path, [2], tmp_path, None)
