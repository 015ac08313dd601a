"""The table of all keys in docs/training.md, from their dataclasses.

    python -m hpcgan.config_table docs/training.md

writes it anew, between the lines ``<!-- keys -->`` and ``<!-- end of keys -->``.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from hpcgan.config import KEYS
from hpcgan.config_values import allowed

_PLACE = re.compile(r"(?<=<!-- keys -->\n).*(?=<!-- end of keys -->)", re.DOTALL)


def with_table(document: str) -> str:
    """Return a document in Markdown with the table of keys in its place."""
    lines = ["| key | default | | values | on resuming |", "|---|---|---|---|---|"]
    for name, key in KEYS.items():
        default = f"`{key.written_default}`" if key.written_default else ""
        lines.append(
            f"| `{name}` | {default} | {key.help} | {allowed(key)} | {key.on_resume.value} |"
        )
    return _PLACE.sub(lambda _: "".join(f"{line}\n" for line in lines), document)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the table of keys in a document anew.")
    parser.add_argument("document", type=Path)
    path = parser.parse_args().document
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
