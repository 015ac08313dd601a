"""The report's files and what is foretold from them."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hpcgan.errors import ConfigError, RunError
from hpcgan.scaling import foretell, report, table
from hpcgan.scaling.summary import summarize
from tests.scaling.made import learnt, made, write, write_quality

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


BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Quiet, alone, and without a look at the network.
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
]
# What a reader sees, as the browser has laid it out.
LOOK = """<script>addEventListener("load", () => {
  const image = document.querySelector("img");
  document.documentElement.innerHTML = "<pre>" + btoa(unescape(encodeURIComponent(JSON.stringify({
    image: [image.complete, image.naturalWidth, image.getBoundingClientRect().width],
    wide: document.documentElement.scrollWidth - innerWidth,
    text: document.body.innerText,
    rows: [...document.querySelectorAll("tr")].map(
      (row) => [...row.cells].map((cell) => cell.innerText.split("\\n")[0])),
  })))) + "</pre>";
})</script>"""


def look(page: Path, width: int) -> dict:
    """Open a page in a browser and return what it shows."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        if os.environ.get("CI"):
            pytest.fail(f"no browser is installed: {', '.join(BROWSERS)}")
        pytest.skip("no browser is installed")
    probe = page.with_name("probe.html")
    probe.write_text(page.read_text().replace("</body>", f"{LOOK}</body>"))
    profile = f"--user-data-dir={page.with_name('profile')}"
    size = f"--window-size={width},800"
    done = subprocess.run(
        [browser, *QUIET, profile, size, "--dump-dom", probe.as_uri()],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    found = re.search(r"<pre>([\w+/=]+)</pre>", done.stdout)
    assert found, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads(base64.b64decode(found[1]))


def test_a_browser_shows_the_page(tmp_path: Path) -> None:
    write(tmp_path, *WEAK, *STRONG)
    write_quality(
        tmp_path,
        learnt("weak", 1, (0, 0.0, 90.0), (800, 20.0, 10.0)),
        learnt("weak", 2, (0, 0.0, 90.0), (1000, 10.0, 20.0)),
    )
    report.write(tmp_path)
    seen = look(tmp_path / "report.html", 1300)
    complete, pixels, shown = seen["image"]
    assert complete
    assert pixels >= 2 * shown > 1000  # curves stay sharp on paper and on fine screens
    assert seen["wide"] <= 0
    weak, strong = ([line for line in seen["rows"] if len(line) == cells] for cells in (15, 13))
    assert [line[0] for line in weak] == ["ranks", "1", "2", "4"]
    assert [line[0] for line in strong] == ["ranks", "1", "2", "4"]
    assert weak[2][-2:] == ["34", "20"]
    assert "Weak scaling" in seen["text"]
    assert "made <up>" not in seen["text"]  # details are closed
    assert look(tmp_path / "report.html", 600)["wide"] <= 0  # wide tables scroll by themselves


def test_without_matplotlib_there_is_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    write(tmp_path, *WEAK)
    report.write(tmp_path)
    assert (
        "no curves: curves need matplotlib, which is not installed: pip install 'hpcgan[plots]'"
        in (capsys.readouterr().out)
    )
    assert not (tmp_path / "report.png").exists()
    assert "img" not in Page((tmp_path / "report.html").read_text()).tags


def test_the_csv_has_exact_values() -> None:
    runs = [made(), made(ranks=2, step=0.125, limit=0.1125, oversubscribed=True)]
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
        "limit_efficiency": "0.9",
        "limit_efficiency_low": "",
        "limit_efficiency_high": "",
        "compute_ms": "101.25",
        "input_ms": "11.25",
        "waiting_ms": "0",
        "exchange_ms": "12.5",
        "slowest": "rank 0 on node0",
        "equal_images": "",
        "frechet_at_equal_images": "",
        "equal_seconds": "",
        "frechet_at_equal_seconds": "",
    }


def test_bounds_of_intervals_stand_in_their_places() -> None:
    # Half an interval, in logarithms, with two starts: 12.7062 times half their difference.
    runs = [made(step=0.1), made(step=0.1), made(ranks=2, step=0.1), made(ranks=2, step=0.121)]
    rows = summarize(runs)
    half = 12.7062 * math.log(1.21) / 2
    middle = 100 * 1.1
    (_, line) = csv.DictReader(io.StringIO(table.to_csv(rows)))
    assert float(line["step_ms"]) == pytest.approx(110.5)
    assert float(line["step_ms_low"]) == pytest.approx(middle * math.exp(-half), rel=1e-4)
    assert float(line["step_ms_high"]) == pytest.approx(middle * math.exp(half), rel=1e-4)
    low, high = middle * math.exp(-half), middle * math.exp(half)
    assert table.cells(rows[1])[3] == f"110 [{low:.0f}, {high:.0f}]"


def test_the_table_marks_more_ranks_than_cores() -> None:
    runs = [made(), made(ranks=2, step=0.125, limit=0.1125, oversubscribed=True)]
    lines = table.text(summarize(runs)).splitlines()
    assert lines[1].split()[:4] == ["ranks", "nodes", "starts", "ms/step"]
    assert lines[3].split()[:4] == ["2*", "1", "1", "125"]
    parts = ["101", "11.2", "0.00", "12.5"]
    assert lines[3].split()[4:] == ["128", "64.0", "1.60", "80.0%", "90.0%", *parts]


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


def test_curves_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    write(tmp_path, *WEAK)
    report.write(tmp_path)
    (tmp_path / "predict.png.partial").mkdir()  # in the way
    with pytest.raises(RunError, match=r"predict\.png: cannot be written"):
        foretell.write(tmp_path, [8], tmp_path, (1e-5, 1e9))


def test_too_few_points_are_told(tmp_path: Path) -> None:
    write(tmp_path, *WEAK[:4])
    report.write(tmp_path)
    with pytest.raises(ConfigError, match=r"2 unknowns .* 1 points with more than one rank"):
        foretell.write(tmp_path, [2], tmp_path, None)
