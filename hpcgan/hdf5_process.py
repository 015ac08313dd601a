"""The process that opens HDF5 files for a rank: ``python -m hpcgan.hdf5_process SECONDS BYTES``.

Questions come as a JSON list a line: directory, function and its arguments. The answer is any
number of arrays, each an object a line that is followed by its bytes, and at last the value or the
error. It imports neither MPI nor TensorFlow.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import signal
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from hpcgan import hdf5_limits
from hpcgan.errors import RunError, UserError
from hpcgan.terminal import printable

_IDLE = 60.0  # seconds after which it ends; its memory is better used by the run
# What HDF5 says when it gets no memory; a filter that fails may have got none.
_OUT_OF_MEMORY = ("alloc", "filter returned failure", "memory")
FUNCTIONS = {
    "data_tools.check_file:labels",
    "data_tools.check_file:samples",
    "data_tools.check_file:values",
    "data_tools.copied_file:arrays",
    "data_tools.copied_file:attributes",
    "data_tools.copied_file:has_labels",
    "data_tools.describe_file:lines",
    "data_tools.describe_file:preview",
    "hpcgan.checkpoint_content:content",
    "hpcgan.data.headers:header",
    "hpcgan.data.headers:labels",
    "hpcgan.data.headers:places",
    "hpcgan.data.headers:rows",
}


def main(seconds: float, memory: int) -> None:
    """Answer until there are no more questions."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else may write between the answers
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hdf5_limits.begin(seconds, memory)
    tell(answers, {"value": "ready"})
    # HDF5 and the C library write about damage, which our error tells.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for question in questions():
        answer(question, answers)


def questions() -> Iterator[list[Any]]:
    """Yield the questions; no limits hold while the process waits for one."""
    raw = os.fdopen(0, "rb", buffering=0)
    while select.select([raw], [], [], _IDLE)[0]:
        line = b""
        while not line.endswith(b"\n"):
            part = raw.readline()
            if not part:
                return
            line += part
        yield json.loads(line)


def answer(question: list[Any], answers: BinaryIO) -> None:
    """Answer one question."""
    directory, function, *words = question
    if function not in FUNCTIONS:
        raise ValueError(f"no such function: {function}")
    module, name = function.split(":")
    call = getattr(importlib.import_module(module), name)
    hdf5_limits.allow(0)
    try:
        os.chdir(directory)
        value = None
        for each in call(*words):
            if isinstance(each, np.ndarray):
                send(each, answers)
            else:
                value = each
        reply = {"value": value}
    except UserError as error:
        reply = {"error": one_line(error), "kind": type(error).__name__}
    except Exception as error:  # damage has h5py raise anything; what it is matters to no one
        reply = failure(error, words)
    hdf5_limits.end()
    tell(answers, reply)


def failure(error: Exception, words: list[Any]) -> dict[str, Any]:
    """Return the reply to a question about the file ``words[0]`` that ended with an error."""
    said = one_line(error)
    if isinstance(error, MemoryError) or any(sign in said for sign in _OUT_OF_MEMORY):
        shortage = hdf5_limits.shortage()
        if shortage:
            text = f"{words[0]}: memory ran out while HDF5 read it: {shortage}"
            return {"error": printable(text), "kind": RunError.__name__}
        said = said or "it claims more than there is memory: it is damaged"
    return {"error": said or type(error).__name__, "kind": ""}


def one_line(error: Exception) -> str:
    """Return an error's text on one line that can be printed, whatever names the file holds."""
    return printable(" ".join(str(error).split()))


def send(array: np.ndarray, answers: BinaryIO) -> None:
    """Send an array."""
    array = np.require(array, requirements="C").reshape(array.shape)
    tell(answers, {"dtype": array.dtype.str, "shape": array.shape})
    answers.write(array.reshape(-1).view(np.uint8).data)


def tell(answers: BinaryIO, news: dict[str, Any]) -> None:
    """Send a line."""
    answers.write(json.dumps(news).encode() + b"\n")
    answers.flush()


if __name__ == "__main__":
    # When the rank is gone, the write that fails ends the process without a word.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # Ctrl-C is the rank's to handle; its end is the end of the questions.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main(float(sys.argv[1]), int(sys.argv[2]))
