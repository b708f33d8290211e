"""``python -m backend.cli``."""

import sys

from backend.cli.command import main

if __name__ == "__main__":
    sys.exit(main())
