"""PNG files written by the format's own description (PNG specification, third edition).

Pillow does not write all that others do: 16-bit colours, chunks after the pixels.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk with its length and checksum."""
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def png(values: np.ndarray, kind: int, *before: bytes, after: bytes = b"", depth: int = 0) -> bytes:
    """Return a picture.

    Args:
        values: (H, W) or (H, W, channels), uint8 or uint16.
        kind: the colour type.
        before: chunks before the pixels.
        after: chunks after them.
        depth: bits of a value, by default those of the array; each row must then fill its bytes.
    """
    depth = depth or 8 * values.itemsize
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], depth, kind, 0, 0, 0)
    rows = values.reshape(len(values), -1)
    if depth < 8:
        bits = np.unpackbits(rows[..., np.newaxis], axis=-1)[..., -depth:]
        rows = np.packbits(bits.reshape(len(rows), -1), axis=1)
    rows = rows.astype(rows.dtype.newbyteorder(">"))
    content = b"".join(b"\0" + row.tobytes() for row in rows)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + b"".join(before)
        + chunk(b"IDAT", zlib.compress(content))
        + after
        + chunk(b"IEND", b"")
    )


def turned(orientation: int) -> bytes:
    """Return EXIF data that say how a picture lies, and nothing else."""
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)
