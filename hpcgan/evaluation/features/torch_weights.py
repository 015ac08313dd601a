"""The arrays in a file that PyTorch saved before 1.6: read without unpickling, which may run any
code.

The file is five pickles, which say what there is, and after them the numbers themselves: for each
storage its length, int64, and its content.
"""

from __future__ import annotations

import io
import pickletools
from typing import Any

import numpy as np

_DTYPES = {"torch FloatStorage": "<f4", "torch LongStorage": "<i8"}
_PUSHES = ("GLOBAL", "BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1")
_EMPTY: dict[str, Any] = {"EMPTY_TUPLE": (), "NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS, _GETS = ("BINPUT", "LONG_BINPUT"), ("BINGET", "LONG_BINGET")


def arrays(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of a saved state by their names.

    Raises:
        ValueError, KeyError, IndexError: the content is no such file.
    """
    file = io.BytesIO(content)
    _, _, _, state, order = (_described(file) for _ in range(5))
    dtypes = {tensor[0][2]: _DTYPES[tensor[0][1]] for tensor in state.values()}
    storages: dict[str, np.ndarray] = {}
    at = file.tell()
    for key in order:
        length = int.from_bytes(content[at : at + 8], "little")
        storages[key] = np.frombuffer(content, dtypes[key], length, at + 8)
        at += 8 + storages[key].nbytes
    return {name: _array(storages, *tensor[:4]) for name, tensor in state.items()}


def _array(
    storages: dict[str, np.ndarray],
    storage: tuple[Any, ...],
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
) -> np.ndarray:
    """Return what a call of ``_rebuild_tensor_v2`` describes; NumPy checks that it is inside."""
    content = storages[storage[2]]
    size = content.itemsize
    in_bytes = tuple(size * each for each in strides)
    return np.ndarray(shape, content.dtype, content, size * offset, in_bytes)


def _described(file: io.BytesIO) -> Any:
    """Return what the next pickle describes: its dicts, lists, tuples, texts and numbers.

    Nothing is imported or called: a name stays a text, a call is the tuple of its arguments.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}

    def since_mark() -> list[Any]:
        begin = marks.pop()
        items = stack[begin:]
        del stack[begin:]
        return items

    operation: tuple[Any, Any, Any]
    for operation in pickletools.genops(file):
        name, argument = operation[0].name, operation[1]
        if name in _PUSHES:
            stack.append(argument)
        elif name in _EMPTY:
            stack.append(_EMPTY[name])
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            stack.append({} if name == "EMPTY_DICT" else [])
        elif name in _PUTS:
            memo[argument] = stack[-1]
        elif name in _GETS:
            stack.append(memo[argument])
        elif name == "MARK":
            marks.append(len(stack))
        elif name == "TUPLE":
            stack.append(tuple(since_mark()))
        elif name in _TUPLES:
            items = [stack.pop() for _ in range(_TUPLES[name])]
            stack.append(tuple(items[::-1]))
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append({} if function == "collections OrderedDict" else arguments)
        elif name in ("SETITEM", "SETITEMS"):
            items = since_mark() if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
            stack[-1].update(zip(items[::2], items[1::2], strict=True))
        elif name == "APPENDS":
            items = since_mark()
            stack[-1].extend(items)
        elif name == "BUILD":  # attributes of a dict, which nobody needs
            stack.pop()
        elif name not in ("PROTO", "BINPERSID", "STOP"):
            raise ValueError(f"a pickle with {name}")
    return stack[-1]
