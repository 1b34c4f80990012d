"""The rules of Windows, by their text; tests/windows asks Windows itself."""

from __future__ import annotations

import doctest
import sys

import pytest

from pm import windows_paths
from pm.windows_paths import is_windows_device, long_paths_enabled, windows_problem


def test_the_examples_of_the_documentation_are_right() -> None:
    assert doctest.testmod(windows_paths) == (0, 2)


@pytest.mark.parametrize(
    "path",
    [
        "bars.csv", ".hidden", "..\\a.csv", "./a/../b", "C:\\Größe σ\\x.csv", "c:x.csv", "\\\\server\\share\\x",
        "\\\\?\\Z:\\x", "CONSOLE.csv", "COM10", "LPT", "nulls", "it's {a} 50% [x]",
    ],
)  # fmt: skip
def test_a_path_that_windows_allows_has_no_problem(path: str) -> None:
    assert windows_problem(path) is None
    assert not is_windows_device(path)


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("a:b?.csv", "'?' in the name 'b?.csv'"), ("x/a:b.csv", "':' in the name 'a:b.csv'"), ("ab:c", "':'"),
        ("a*/b", "'*'"), ("a|b", "'|'"), ('a"b', "'\"'"), ("a<b>", "'<'"), ("a\x01b", "'\\x01'"), ("b\n", "'\\n'"),
        ("x./y", "a dot or a space at the end of the name 'x.'"), ("x ", "a dot or a space"), ("...", "a dot"),
        ("aux/x.csv", "'aux', which Windows keeps for a device"), ("C:\\com1.tar.gz", "device"), ("LPT²", "device"),
        ("\\\\.\\COM1", "device"), ("CONOUT$", "device"), ("nul .txt", "device"),
    ],
)  # fmt: skip
def test_what_windows_does_not_allow_is_named(path: str, part: str) -> None:
    assert part in (windows_problem(path) or "")


def test_a_path_has_room_for_what_is_below_it_unless_paths_may_be_long() -> None:
    path = "C:\\" + "x" * 197
    assert windows_problem(path, below=59, long_paths=False) is None
    assert "200 characters" in (windows_problem(path, below=60, long_paths=False) or "")
    assert windows_problem(path, below=60) is None


@pytest.mark.posix
def test_paths_may_be_long_elsewhere() -> None:
    assert sys.platform != "win32"
    assert long_paths_enabled()
