"""``python -m data_tools`` is ``hpcgan-data``."""

import sys

from data_tools.cli import main

sys.exit(main())
