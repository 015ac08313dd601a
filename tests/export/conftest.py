"""The example in C++ is compiled where ONNX Runtime's header and library are.

``ONNXRUNTIME_HOME`` names their directory, as an archive of ONNX Runtime's releases has it: the
package of PyPI has no header. Elsewhere ``test_onnx_cpp.py`` is not collected.
"""

from __future__ import annotations

import os
from pathlib import Path

_HOME = Path(os.environ.get("ONNXRUNTIME_HOME", "/nowhere"))
_FILES = ("include/onnxruntime_c_api.h", "lib/libonnxruntime.so")

collect_ignore = [] if all((_HOME / name).exists() for name in _FILES) else ["test_onnx_cpp.py"]
