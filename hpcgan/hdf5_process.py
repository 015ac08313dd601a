"""The process that opens HDF5 files for a rank: ``python -m hpcgan.hdf5_process SECONDS BYTES``.

A call is a line, a JSON list: directory, module, name of the function and its arguments. The reply
is any number of arrays, each a JSON object on a line that is followed by the bytes, and at last an
object with the value or the error. The process imports neither MPI nor TensorFlow.
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
# HDF5's texts when it gets no memory; a filter that fails may have got none.
_OUT_OF_MEMORY = ("alloc", "filter returned failure", "memory")


def main(seconds: float, memory: int) -> None:
    """Make calls until there are no more."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else may write between the replies
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hdf5_limits.begin(seconds, memory)
    send(replies, {"value": "ready"})
    # HDF5 and the C library write about damage, which our error names.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    for call in calls():
        make(call, replies)


def calls() -> Iterator[list[Any]]:
    """Yield the calls; no limits hold while the process waits for one."""
    raw = os.fdopen(0, "rb", buffering=0)
    while select.select([raw], [], [], _IDLE)[0]:
        line = raw.readline()
        if not line.endswith(b"\n"):
            return
        yield json.loads(line)


def make(call: list[Any], replies: BinaryIO) -> None:
    """Make one call and send the reply."""
    directory, module, name, *arguments = call
    function = getattr(importlib.import_module(module), name)
    hdf5_limits.allow(0)
    try:
        if not hasattr(function, "is_served"):
            raise ValueError(f"{module}.{name} may not be run here")
        os.chdir(directory)
        value = None
        for each in function(*arguments):
            if isinstance(each, np.ndarray):
                array = np.require(each, requirements="C").reshape(each.shape)
                send(replies, {"dtype": array.dtype.str, "shape": array.shape})
                replies.write(array.reshape(-1).view(np.uint8).data)
            else:
                value = each
        reply = {"value": value}
    except UserError as error:
        reply = {"error": one_line(error), "kind": type(error).__name__}
    except Exception as error:  # damage has h5py raise anything; what it is matters to no one
        reply = failure(error, arguments)
    hdf5_limits.end()
    send(replies, reply)


def failure(error: Exception, arguments: list[Any]) -> dict[str, Any]:
    """Return the reply to a call about the file ``arguments[0]`` that ended with an error."""
    said = one_line(error)
    if isinstance(error, MemoryError) or any(sign in said for sign in _OUT_OF_MEMORY):
        shortage = hdf5_limits.shortage()
        if shortage:
            text = f"{arguments[0]}: memory ran out while HDF5 read it: {shortage}"
            return {"error": printable(text), "kind": RunError.__name__}
        said = said or "it claims more than there is memory: it is damaged"
    return {"error": said or type(error).__name__, "kind": ""}


def one_line(error: Exception) -> str:
    """Return an error's text on one line that can be printed, whatever names the file holds."""
    return printable(" ".join(str(error).split()))


def send(replies: BinaryIO, reply: dict[str, Any]) -> None:
    """Send a line."""
    replies.write(json.dumps(reply).encode() + b"\n")
    replies.flush()


if __name__ == "__main__":
    # When the rank is gone, the write that fails ends the process silently.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    # Ctrl-C is the rank's to handle; its end is the end of the calls.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main(float(sys.argv[1]), int(sys.argv[2]))
