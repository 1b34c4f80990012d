"""The `pm` command: what a user types, and what they read. No logic lives here."""

from pm.cli.app import main

__all__ = ["main"]
