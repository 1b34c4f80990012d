r"""Show text that comes from data: what would steer a terminal is written as `\x1b`, and so seen.

A ticker of a file can hold escape sequences, which clear the screen or change its title, or characters that reverse
the direction of the text after them.
"""

from __future__ import annotations

import re

__all__ = ["visible", "visible_line"]

_KEPT = "\t\n"
"""Control characters that only move to the next column or line."""
_STEERING = re.compile(
    r"[\x00-\x1f\x7f-\x9f"  # the control characters of ASCII and of Latin-1
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # those that change the direction of text
    r"\u2028\u2029"  # separators of lines and paragraphs
    r"\ud800-\udfff]"  # halves of characters, which no encoding writes
)


def visible(text: str) -> str:
    r"""Return a text with the characters that would steer a terminal escaped, other than tabs and line ends.

    Examples
    --------
    >>> print(visible("A\x1b[2JB"))
    A\x1b[2JB
    """
    return _STEERING.sub(lambda match: match[0] if match[0] in _KEPT else _escaped(match[0]), text)


def visible_line(text: str) -> str:
    r"""Return a text as one line, with all characters escaped that would steer a terminal.

    Examples
    --------
    >>> print(visible_line("A\nB"))
    A\nB
    """
    return _STEERING.sub(lambda match: _escaped(match[0]), text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
