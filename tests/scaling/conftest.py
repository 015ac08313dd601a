"""What tests of studies share."""

from __future__ import annotations

import pytest

from hpcgan.scaling import calls


@pytest.fixture(autouse=True)
def _tensorflow_has_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests of this process have used TensorFlow, whose threads are then as they are."""
    monkeypatch.setattr(calls, "prepare_tensorflow", lambda world: None)
