"""``python -m pytest_ampls.lab``: serve an estate to any client, or list what is on offer."""

from __future__ import annotations

import sys

from pytest_ampls.lab.command import main

if __name__ == "__main__":
    sys.exit(main())
