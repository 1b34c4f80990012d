"""Run the `pm` command from a checkout: `python cli.py run`."""

from pm.cli import main

if __name__ == "__main__":
    main()
