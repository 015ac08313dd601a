"""The command ``verify``: read every chunk of data files and list what is wrong with them.

HDF5 may crash or never return on damaged files, where no Python code can catch it. So each file is
read by a process of its own (``check_file``); if that dies or stands still, that is what is wrong.
"""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
from typing import Any

from hpcgan.errors import RunError
from hpcgan.world import World

# Seconds in which a process must have read a chunk: no disk is so slow.
PATIENCE = 60.0


def verify(world: World, files: list[str], images: str, labels: str | None) -> None:
    """Check files and print a line for each problem, or that there is none.

    The ranks share the files. All ranks must call it, with the same arguments.

    Raises:
        RunError: something is wrong with a file (on all ranks).
    """
    own = [check(file, images, labels) for file in files[world.rank :: world.size]]
    parts = world.gather_json(own)
    found = [parts[n % world.size][n // world.size] for n in range(len(files))]
    problems = 0
    first = next((each for each in found if each["shape"]), None)
    for file, each in zip(files, found, strict=True):
        if first and each["shape"] and _kind(each) != _kind(first):
            other = files[found.index(first)]
            each["problems"].append(
                f"holds {_describe(each)}, but {other} {_describe(first)}; all files must agree"
            )
        problems += len(each["problems"])
        if world.is_root:
            lines = each["problems"] or [f"ok: {each['samples']} samples, {_describe(each)}"]
            for line in lines:
                print(f"{file}: {line}", flush=True)
    if problems:
        error = RunError(f"{problems} problem{'s' if problems > 1 else ''} in {len(files)} files")
        error.agreed = True
        raise error


def _kind(found: dict[str, Any]) -> list[Any]:
    return [found["shape"], found["dtype"], found["labels"]]


def _describe(found: dict[str, Any]) -> str:
    """Return what a file's samples are."""
    labels = f" with labels {found['labels']}" if found["labels"] else ""
    return f"{tuple(found['shape'])} {found['dtype']}{labels}"


def check(file: str, images: str, labels: str | None, patience: float = PATIENCE) -> dict[str, Any]:
    """Have a process read a file.

    Returns:
        ``problems``, a list of texts; ``samples``, ``shape`` of one, ``dtype``, and ``labels``,
        their dtype, as far as they are known.
    """
    words = [sys.executable, "-m", "data_tools.check_file", file, images, labels or ""]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    lines: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_forward, args=(process, lines), daemon=True).start()
    found: dict[str, Any] = {"problems": [], "samples": 0, "shape": None, "dtype": "", "labels": ""}
    at = "its header"
    while True:
        try:
            line = lines.get(timeout=patience)
        except queue.Empty:
            process.kill()
            process.wait()
            found["problems"].append(f"HDF5 did not return from {at} in {patience:.0f} s: damaged")
            return found
        if line is None:
            break
        news = json.loads(line)
        at = news.pop("at", at)
        if "problem" in news:
            found["problems"].append(news.pop("problem"))
        found |= news
    status = process.wait()
    if status < 0:
        name = signal.Signals(-status).name
        found["problems"].append(f"HDF5 crashed at {at} ({name}): damaged")
    elif status:
        found["problems"].append(f"HDF5 failed at {at} (status {status}): damaged")
    return found


def _forward(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    """Hand on the lines that a process prints, and None in the end."""
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)
