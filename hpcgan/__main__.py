"""``python -m hpcgan`` is the same as ``hpcgan``."""

import sys

from hpcgan.cli import main

sys.exit(main())
