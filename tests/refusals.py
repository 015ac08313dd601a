"""What ``load`` says of wrong configurations."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpcgan.config_file import load
from hpcgan.errors import ConfigError

DATA = "data: {files: [a.h5]}\n"


def refusal(path: Path, text: str, *overrides: str) -> str:
    """Return what ``load`` says about a wrong configuration; check that it is one line."""
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path, list(overrides))
    message = str(caught.value)
    assert "\n" not in message
    return message
