"""Run the `pm` command from a checkout: `python cli.py run`."""

import sys

from pm.cli import main

if __name__ == "__main__":
    sys.exit(main())
