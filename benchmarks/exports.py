"""How far exported generators are from the checkpoints' own: families, formats and conditions.

    python -m benchmarks.exports CHECKPOINT ...

Each checkpoint is exported in every format; ``hpcgan export`` loads the file in a new process by
its own runtime and compares batches of 1, 16 and 300. Printed is the largest difference of each, as
a part of the samples' range.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import run
from hpcgan import checkpoint

_OUTS = ("g.keras", "g", "g.onnx")
_TITLES = ("networks", "condition", "trained in", "values", "range", ".keras", "SavedModel", "ONNX")


def main() -> None:
    """Export and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", type=Path, nargs="+", metavar="CHECKPOINT")
    print(f"| {' | '.join(_TITLES)} |")
    print("|---" * len(_TITLES) + "|")
    for path in parser.parse_args().checkpoints:
        print(f"| {' | '.join(row(path))} |", flush=True)


def row(path: Path) -> list[str]:
    """Return a checkpoint's line of the table."""
    found = checkpoint.read(path)
    checks = [differences(path, out) for out in _OUTS]
    network = found.config.model.name + (", attention" if found.config.model.attention else "")
    about = [network, found.config.model.condition, found.config.train.precision]
    about += [found.samples.values or found.dtype, f"{checks[0]['range']:.4g}"]
    return about + [f"{each['largest_difference'] / each['range']:.1e}" for each in checks]


def differences(path: Path, out: str) -> dict[str, float]:
    """Return what an export found when it compared."""
    with tempfile.TemporaryDirectory(prefix="exports-") as place:
        words = ["-m", "hpcgan", "export", str(path), "--out", f"{place}/{out}"]
        run([sys.executable, *words])
        return json.loads(Path(place, f"{out}.json").read_text(encoding="utf-8"))["check"]


if __name__ == "__main__":
    main()
