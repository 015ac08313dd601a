"""The report's files, its page as a browser shows it among them."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hpcgan.scaling import report
from tests.scaling.made import made, trained, write

WEAK = [
    made(ranks=ranks, step=step * factor, baseline=0.1)
    for ranks, step in ((1, 0.1), (2, 0.11), (4, 0.125))
    for factor in (1.0, 1.02)
]
STRONG = [
    made("strong", ranks, step=step, baseline=baseline)
    for ranks, step, baseline in ((1, 0.4, 0.4), (2, 0.21, 0.2), (4, 0.125, 0.1))
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
    for word in ("speed-up", "of baseline", "90.9%", "hpcgan 0.1.0", "node0"):
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
    one = trained("weak", 1, (0, 0.0, 90.0), (800, 20.0, 10.0))
    two = trained("weak", 2, (0, 0.0, 90.0), (1000, 10.0, 20.0))
    write(tmp_path, *WEAK, *STRONG, one, two)
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
