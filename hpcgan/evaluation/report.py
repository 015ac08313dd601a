"""The figures of an evaluation in words: a table, a line for scripts, and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from hpcgan import __version__
from hpcgan.evaluation.evaluate import Evaluation
from hpcgan.terminal import printable


def table(found: Evaluation) -> str:
    """Return what was compared, and a line for each figure beside its floor."""
    subject = found.subject
    reference = (
        f"held-out ones of {_listed(subject.held_out.files)}"
        if subject.held_out
        else (f"real ones of {_listed(subject.real.files)}")
    )
    step = f" (step {subject.found.step})" if subject.found else ""
    names = _names(found)
    width = max(map(len, ["figure", *names.values()]))
    lines = [
        f"{found.samples} samples of {printable(subject.name)}{step} against as many {reference}",
        f"{'figure':<{width}}  {'value':>12}  {'floor':>12}  {'ratio':>8}",
    ]
    for key, (value, floor) in found.metrics.items():
        ratio = f"{value / floor:.3g}" if floor and floor > 0 else "-"
        floor_text = "-" if floor is None else f"{floor:.6g}"
        lines.append(f"{names[key]:<{width}}  {value:>12.6g}  {floor_text:>12}  {ratio:>8}")
    return "\n".join(lines)


def line(found: Evaluation, seed: int) -> str:
    """Return ``hpcgan-evaluation: KEY=VALUE ...``; the floor of KEY is KEY_floor."""
    subject = found.subject
    facts = {"samples": str(found.samples), "features": found.features, "seed": str(seed)}
    if subject.found:
        facts["step"] = str(subject.found.step)
    names = _names(found)
    for key, (value, floor) in found.metrics.items():
        facts[names[key]] = f"{value:.8g}"
        if floor is not None:
            facts[f"{names[key]}_floor"] = f"{floor:.8g}"
    return "hpcgan-evaluation: " + " ".join(f"{key}={value}" for key, value in facts.items())


def as_json(found: Evaluation, seed: int) -> str:
    """Return the contract's JSON, with what identifies the comparison."""
    subject = found.subject
    content = {
        "samples": found.samples,
        "features": found.features,
        "metrics": {
            key: {"value": _number(value), "floor": _number(floor)}
            for key, (value, floor) in found.metrics.items()
        },
        "classes": found.class_counts
        and dict(zip(("samples", "reference"), found.class_counts, strict=True)),
        "subject": subject.name,
        "step": subject.found.step if subject.found else None,
        "images": subject.found.images if subject.found else None,
        "seed": seed,
        "real": list(subject.real.files),
        "held_out": list(subject.held_out.files) if subject.held_out else None,
        "notes": found.notes,
        "hpcgan_version": __version__,
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _names(found: Evaluation) -> dict[str, str]:
    """Return the name under which each figure is shown: with the features that it depends on."""
    return {
        key: f"{key}_{found.features}" if key in found.in_features else key for key in found.metrics
    }


def _listed(files: Sequence[str]) -> str:
    """Return files in words."""
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return printable(files[0]) + more


def _number(value: float | None) -> float | None:
    """Return a number as JSON has it, which knows no infinity."""
    return value if value is not None and math.isfinite(value) else None
