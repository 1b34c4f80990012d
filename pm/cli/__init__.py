"""The `pm` command: a module for each noun or verb that the user types. No calculation is done here."""

from pm.cli.app import main

__all__ = ["main"]
