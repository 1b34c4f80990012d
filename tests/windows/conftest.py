"""Tests of what only Windows does: elsewhere they are not collected. tests/windows/python runs them under Wine."""

import sys

collect_ignore_glob = [] if sys.platform == "win32" else ["test_*.py"]
