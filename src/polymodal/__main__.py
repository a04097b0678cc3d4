"""``python -m polymodal``: the command line."""

from __future__ import annotations

import sys

from polymodal.cli import main

if __name__ == "__main__":
    sys.exit(main())
