"""Training runs side by side: the directories below one, such as the tasks of a sweep leave."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from hpcgan.errors import ConfigError
from hpcgan.files import json_lines
from hpcgan.scaling.table import aligned, csv_text

HEADINGS = ["run", "steps", "state", "ranks", "images/s", "D loss", "G loss"]
# What is known of a training run, by the columns of the CSV file.
Trained = dict[str, Any]


def read(directory: Path) -> list[Trained]:
    """Return the training runs directly below a directory, by name; those without a line not.

    Members of a population have the score of their last tournament, and how often they have taken
    something.

    Raises:
        ConfigError: a run's journal cannot be read.
    """
    found = []
    scores, takes = _tournaments(directory)
    for journal in sorted(directory.glob("*/metrics.jsonl"), key=_in_order):
        try:
            lines = _lines(journal)
            history = _lines(journal.with_name("history.jsonl"))
            if lines:
                run = _trained(journal.parent.name, lines, history)
                if journal.parent.name in scores:
                    run |= {"score": scores[run["name"]], "took": takes[run["name"]]}
                found.append(run)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{journal.parent}: no training run: {error}") from None
    return found


def _in_order(journal: Path) -> tuple[int, str]:
    """Return by what runs are sorted: member_10 comes after member_9."""
    name = journal.parent.name
    number = name.removeprefix("member_")
    return (int(number) if number.isdecimal() else -1, name)


def _tournaments(directory: Path) -> tuple[dict[str, str], Counter[str]]:
    """Return the last score of each member of a population, and how often each has taken."""
    lines = [line for _, line in json_lines(directory / "tournaments.jsonl", "scores", "took")]
    takes = Counter(f"member_{take['member']}" for line in lines for take in line["took"])
    last = lines[-1]["scores"] if lines else []
    return {f"member_{number}": _score(score) for number, score in enumerate(last)}, takes


def _score(score: Any) -> str:
    """Return a score for people: a number, two of them (own, other's), or none."""
    if isinstance(score, list):
        return " / ".join(map(_score, score))
    return "-" if score is None else f"{score:.4g}"


def headings(runs: Sequence[Trained]) -> list[str]:
    """Return the headings of the table of some runs."""
    return [*HEADINGS, *(key for key in ("score", "took") if key in runs[0])]


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a file; a last line that is being written is left out."""
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def _trained(name: str, lines: list[dict[str, Any]], history: list[dict[str, Any]]) -> Trained:
    """Return a run; one that was killed is under way, as far as its files show."""
    starts = [event for event in history if event["event"] in ("started", "resumed")]
    if not starts:
        raise ValueError("history.jsonl has no start")
    state = history[-1]["event"]
    return {
        "name": name,
        "step": int(lines[-1]["step"]),
        "state": state if state in ("stopped", "finished") else "under way",
        "ranks": int(starts[-1]["ranks"]),
        "images_per_second": median(float(line["images_per_second"]) for line in lines),
        "discriminator_loss": float(lines[-1]["discriminator_loss"]),
        "generator_loss": float(lines[-1]["generator_loss"]),
    }


def cells(run: Trained) -> list[str]:
    """Return a line of the table."""
    return [f"{each:.4g}" if isinstance(each, float) else str(each) for each in run.values()]


def text(runs: Sequence[Trained]) -> str:
    """Return a table for people, with mean and standard deviation of the losses below it."""
    title = f"{len(runs)} training runs; images/s: median of the journal; losses: its last line"
    below = [f"over all runs: {spread(runs)}"] if len(runs) > 1 else []
    return "\n".join([title, *aligned([headings(runs), *map(cells, runs)]), *below])


def spread(runs: Sequence[Trained]) -> str:
    """Return mean and standard deviation of both losses over several runs."""
    words = []
    for name, key in (("D loss", "discriminator_loss"), ("G loss", "generator_loss")):
        values = [run[key] for run in runs]
        words.append(f"{name} {mean(values):.4g} with standard deviation {stdev(values):.2g}")
    return ", ".join(words)


def to_csv(runs: Sequence[Trained]) -> str:
    """Return the runs as CSV, a line each."""
    return csv_text([runs[0], *(run.values() for run in runs)])
