"""Standard output and error that never fail: what cannot be written is left out.

A full disk under a log file, a pipe whose reader has gone, a descriptor that was closed: a print
would raise wherever it stands, and once more when the interpreter ends.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any


class Output(io.FileIO):
    """A standard stream, which takes everything and writes what it can.

    Attributes:
        error: the first that lost something, but that nobody reads any more.
    """

    def __init__(self, descriptor: int) -> None:
        """Write to a descriptor of this process, which stays open."""
        super().__init__(descriptor, "wb", closefd=False)
        self.error: OSError | None = None

    def write(self, content: Any) -> int:
        """Write what can be written, and return the size of all of it."""
        rest = memoryview(content).cast("B")
        size = rest.nbytes
        while rest:
            try:
                rest = rest[os.write(self.fileno(), rest) :]
            except BlockingIOError:  # another process that shares it does not want to wait
                select.select([], [self.fileno()], [])
            except OSError as error:
                if error.errno != errno.EPIPE:
                    self.error = self.error or error
                break
        return size


def take_over() -> Output:
    """Have this process print through an ``Output``, and return that of stdout.

    What tests have put in place of the streams stays.
    """
    _open_standard_descriptors()
    outputs = [Output(1), Output(2)]
    for name, output in zip(("stdout", "stderr"), outputs, strict=True):
        before = getattr(sys, f"__{name}__")
        if getattr(sys, name) is before:
            setattr(sys, name, _text(output, before))
    return outputs[0]


def _text(output: Output, before: io.TextIOWrapper | None) -> io.TextIOWrapper:
    """Return a text stream over ``output`` that is otherwise like the one before."""
    if before is None:  # the descriptor was closed when Python began
        return io.TextIOWrapper(output, errors="backslashreplace", line_buffering=True)
    before.flush()
    return io.TextIOWrapper(
        output,
        encoding=before.encoding,
        errors="backslashreplace",  # a character that cannot be printed is no reason to fail, too
        line_buffering=before.line_buffering,
        write_through=before.write_through,
    )


def _open_standard_descriptors() -> None:
    """Give closed ones to /dev/null: else the next file that is opened, of data, would be one."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null == descriptor:
                os.set_inheritable(null, True)
            else:
                os.dup2(null, descriptor)
                os.close(null)
