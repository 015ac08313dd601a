"""The report of a study as one HTML page that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from html import escape

import yaml

from hpcgan.scaling import sweep, table
from hpcgan.scaling.summary import Row, warnings

_CSS = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 1200px; margin: 2em auto;
  padding: 0 1em; }
h1 { font-size: 1.6em; } h2 { font-size: 1.2em; margin-top: 2em; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .82em; font-variant-numeric: tabular-nums; }
th, td { padding: .35em .45em; text-align: right; white-space: nowrap;
  border-bottom: 1px solid #ddd; }
th { border-bottom: 2px solid #444; white-space: normal; vertical-align: bottom; }
.left { text-align: left; }
small { color: #666; display: block; }
.warning { background: #fff4d6; border-left: 4px solid #e69f00; padding: .3em 1em; }
img { width: 100%; } pre { background: #f6f6f6; padding: 1em; overflow-x: auto; }
dt { font-weight: 600; } dd { margin: 0 0 .6em 0; }
"""

_WORDS = {
    "ms/step": "time of a step with the exchange: the slowest rank's, median of the segments of a "
    "start, median of the starts.",
    "images/s, images/s/rank": "samples that all ranks, and each of them, learn from in a second.",
    "speed-up": "images/s in those of the smallest number of ranks, times that number.",
    "of N ranks": "efficiency: speed-up a rank.",
    "of limit": "efficiency against the limit: a step of the same ranks in the same start, each "
    "with its own gradients, in steps with the exchange. It is timed before Horovod starts.",
    "compute": "mean rank's time of a step without exchange and without waiting for samples.",
    "input": "mean rank's wait for its samples.",
    "waiting": "what the slowest rank takes longer for a step, on average over a segment, than "
    "the mean one.",
    "exchange": "what a step with exchange takes longer than the slowest rank's without, 0 at "
    "least. Ranks that are slower now in one step, now in another, are in it too.",
}

_QUALITY_WORDS = {
    "Fréchet at ... images, at ... s": "Fréchet distance between samples of the generator (of its "
    "average, if it has one) and of the data, in the space of the data's first 32 principal "
    "components, when all numbers of ranks have learnt from as many images, and when all have "
    "trained for as long. Less is better. It comes from one training run on each number of ranks, "
    "linearly between the marks of the curves; start, compilation, checkpoints and judging are not "
    "in its seconds. It compares the lines of this table with each other, and nothing else.",
}


def render(
    name: str,
    rows: Sequence[Row],
    picture: bytes | None,
    trained: Sequence[sweep.Trained] = (),
) -> str:
    """Return the page.

    Args:
        name: of the study.
        rows: what was found; may be empty.
        picture: the curves, PNG; None for none.
        trained: training runs to compare.
    """
    parts = _study(name, rows, picture) if rows else [f"<h1>Training runs: {escape(name)}</h1>"]
    if trained:
        parts.append(_trained(trained))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{'Scaling' if rows else 'Runs'}: {escape(name)}</title>\n"
        f"<style>{_CSS}</style>\n</head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n"
    )


def _study(name: str, rows: Sequence[Row], picture: bytes | None) -> list[str]:
    """Return the parts of the page that tell of a study."""
    kinds = list(dict.fromkeys(row.kind for row in rows))
    parts = [f"<h1>{escape(' and '.join(kinds).capitalize())} scaling: {escape(name)}</h1>"]
    parts += [f'<p class="warning">{escape(each)}</p>' for each in warnings(rows)]
    if picture:
        data = base64.b64encode(picture).decode()
        parts.append(f'<img src="data:image/png;base64,{data}" alt="curves of the study">')
    parts += [_table([row for row in rows if row.kind == kind]) for kind in kinds]
    return [*parts, _how(rows), _where(rows), _settings(rows), _starts(rows)]


def _trained(runs: Sequence[sweep.Trained]) -> str:
    """Return training runs side by side."""
    lines = [_line("th", sweep.HEADINGS), *(_line("td", run.cells) for run in runs)]
    below = f"<p>Over all runs: {escape(sweep.spread(runs))}.</p>" if len(runs) > 1 else ""
    return (
        "<h2>Training runs</h2>\n<p>Images a second: median of the run's journal; losses: its last "
        f'line.</p>\n<div class="wide"><table>{"".join(lines)}</table></div>{below}'
    )


def _table(rows: Sequence[Row]) -> str:
    """Return the figures of a kind; intervals stand below their medians."""
    lines = [_line("th", table.headings(rows[0]))]
    for row in rows:
        words = []
        for cell in table.cells(row):
            value, _, interval = cell.partition(" [")
            below = f"<small>{escape(interval.rstrip(']').replace(', ', ' to '))}</small>"
            words.append(escape(value) + (below if interval else ""))
        lines.append(_line("td", words, escaped=True))
    star = "<p>* more ranks than cores</p>" if any(row.oversubscribed for row in rows) else ""
    return (
        f"<h2>{escape(rows[0].kind.capitalize())} scaling</h2>\n"
        "<p>Medians, with 95% intervals below them; parts of a step in milliseconds.</p>\n"
        f'<div class="wide"><table>{"".join(lines)}</table></div>{star}'
    )


def _how(rows: Sequence[Row]) -> str:
    """Return what was measured, and what the columns mean."""
    words = _WORDS | (_QUALITY_WORDS if any(row.quality for row in rows) else {})
    terms = "".join(
        f"<dt>{escape(word)}</dt><dd>{escape(what)}</dd>" for word, what in words.items()
    )
    run = rows[0].runs[0]
    return (
        "<h2>What was measured</h2>\n<p>Each number of ranks was started several times, in turns. "
        "A start compiles the update, warms it up, and then times "
        f"{len(run.limit)} segments without the exchange and as many with it; all ranks begin a "
        "segment together, and it ends with the slowest. Samples come from the data files as in "
        "training; checkpoints are not part of it. Weak scaling keeps the batch of a rank; strong "
        "scaling keeps the global batch and its division into shards, so that all numbers of ranks "
        "make the same training run. Intervals are Student's t of the logarithms over starts "
        "(Welch's for ratios of two numbers of ranks).</p>\n"
        f"<dl>{terms}</dl>"
    )


def _where(rows: Sequence[Row]) -> str:
    """Return nodes, cores, programs and times."""
    runs = [run for row in rows for run in row.runs]
    hosts = sorted({host for run in runs for host in run.hosts})
    cores = Counter(core for run in runs for core in run.cores)
    times = sorted(run.started for run in runs)
    jobs = sorted({run.job for run in runs if run.job})
    versions = dict.fromkeys(
        ", ".join(f"{name} {each}" for name, each in run.versions.items()) for run in runs
    )
    facts = {
        "nodes": ", ".join(hosts),
        "cores a rank": ", ".join(map(str, sorted(cores))),
        "Slurm jobs": ", ".join(jobs) or "none",
        "from, to (UTC)": f"{times[0]}, {times[-1]}",
        "programs": "; ".join(versions),
        "slowest ranks": "; ".join(f"{row.kind} {row.ranks}: {row.slowest}" for row in rows),
        "bytes of a step's exchange": ", ".join(
            map(str, sorted({run.gradient_bytes for run in runs}))
        ),
    }
    terms = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>" for name, fact in facts.items()
    )
    return f"<h2>Where</h2>\n<dl>{terms}</dl>"


def _settings(rows: Sequence[Row]) -> str:
    """Return the configuration of each kind."""
    parts = ["<h2>Configuration</h2>"]
    for row in rows:
        if row.is_base:
            content = yaml.safe_dump(row.runs[0].identity, sort_keys=False)
            parts.append(
                f"<details><summary>{escape(row.kind)}</summary>"
                f"<pre>{escape(content)}</pre></details>"
            )
    return "\n".join(parts)


def _starts(rows: Sequence[Row]) -> str:
    """Return every start."""
    lines = [_line("th", ["kind", "ranks", "started", "ms/step", "limit, ms/step", "of limit"])]
    for row in rows:
        for run in row.runs:
            words = [run.kind, str(run.ranks), run.started, f"{1e3 * run.step:.3f}"]
            words += [f"{1e3 * run.limit_step:.3f}", f"{run.limit_efficiency:.1%}"]
            lines.append(_line("td", words))
    return (
        "<h2>Every start</h2>\n<details><summary>table</summary>"
        f'<div class="wide"><table>{"".join(lines)}</table></div></details>'
    )


def _line(tag: str, words: Sequence[str], escaped: bool = False) -> str:
    """Return a line of a table."""
    return (
        "<tr>"
        + "".join(f"<{tag}>{word if escaped else escape(word)}</{tag}>" for word in words)
        + "</tr>\n"
    )
