"""Training runs side by side: the directories below one, such as the tasks of a sweep leave."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, stdev

from hpcgan.errors import ConfigError

HEADINGS = ("run", "steps", "state", "ranks", "images/s", "D loss", "G loss")


@dataclass(frozen=True)
class Trained:
    """A training run.

    Attributes:
        name: of its directory.
        step: the last one of its journal.
        state: finished, stopped or under way; a run that was killed has told no end.
        ranks: of its last start.
        images_per_second: median of the lines of its journal.
        discriminator_loss: of the last line.
        generator_loss: of the last line.
    """

    name: str
    step: int
    state: str
    ranks: int
    images_per_second: float
    discriminator_loss: float
    generator_loss: float

    @property
    def cells(self) -> list[str]:
        """A line of the table."""
        figures = (self.images_per_second, self.discriminator_loss, self.generator_loss)
        words = [self.name, str(self.step), self.state, str(self.ranks)]
        return words + [f"{each:.4g}" for each in figures]


def read(directory: Path) -> list[Trained]:
    """Return the training runs directly below a directory, by name; those without a line not.

    Raises:
        ConfigError: a run's journal cannot be read.
    """
    found = []
    for journal in sorted(directory.glob("*/metrics.jsonl")):
        try:
            lines = _lines(journal)
            history = _lines(journal.with_name("history.jsonl"))
            if lines:
                found.append(_trained(journal.parent.name, lines, history))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{journal.parent}: no training run: {error}") from None
    return found


def _lines(path: Path) -> list[dict[str, float | str]]:
    """Return the objects of a file; a last line that is being written is left out."""
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def _trained(
    name: str, lines: list[dict[str, float | str]], history: list[dict[str, float | str]]
) -> Trained:
    last = lines[-1]
    starts = [event for event in history if event["event"] in ("started", "resumed")]
    if not starts:
        raise ValueError("history.jsonl tells of no start")
    event = str(history[-1]["event"])
    return Trained(
        name=name,
        step=int(last["step"]),
        state=event if event in ("stopped", "finished") else "under way",
        ranks=int(starts[-1]["ranks"]),
        images_per_second=median(float(line["images_per_second"]) for line in lines),
        discriminator_loss=float(last["discriminator_loss"]),
        generator_loss=float(last["generator_loss"]),
    )


def text(runs: Sequence[Trained]) -> str:
    """Return a table for people, with mean and standard deviation of the losses below it."""
    lines = [list(HEADINGS), *(run.cells for run in runs)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(HEADINGS))]
    words = [f"{len(runs)} training runs; images/s: median of the journal; losses: its last line"]
    for line in lines:
        words.append("  ".join(word.rjust(w) for word, w in zip(line, widths, strict=True)))
    if len(runs) > 1:
        words.append(f"over all runs: {spread(runs)}")
    return "\n".join(words)


def spread(runs: Sequence[Trained]) -> str:
    """Return mean and standard deviation of both losses over several runs."""
    losses = {
        "D loss": [run.discriminator_loss for run in runs],
        "G loss": [run.generator_loss for run in runs],
    }
    return ", ".join(
        f"{name} {mean(each):.4g} with standard deviation {stdev(each):.2g}"
        for name, each in losses.items()
    )


def to_csv(runs: Sequence[Trained]) -> str:
    """Return the runs as CSV, a line each."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Trained.__dataclass_fields__)
    for run in runs:
        writer.writerow(getattr(run, name) for name in Trained.__dataclass_fields__)
    return out.getvalue()
