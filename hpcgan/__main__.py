"""``python -m hpcgan`` is the same as ``hpcgan``."""

from hpcgan.cli import main

if __name__ == "__main__":
    main()
