"""Run the `pm` command: `python -m pm run`."""

import sys

from pm.cli import main

if __name__ == "__main__":
    sys.exit(main())
