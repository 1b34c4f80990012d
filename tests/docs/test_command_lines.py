"""Every command line that a page, a message or a help text names exists, with its options."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pm as package
from pm.cli.app import _command

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(package.__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MODULES = sorted((ROOT / "pm").rglob("*.py"))
BLOCK = re.compile(r"^```(?:console|bash|powershell|dockerfile)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND_LINE = re.compile(r"(?:^|(?<=[`$;&|] )|(?<=`))(?:python -m )?pm ([a-z-][^`\n]*)")
"""`pm` and what follows it, at the start of a line or of code, or after a prompt or another command."""
ENDS = re.compile(r"\s(?:#|\||>|<|;|&&|…)|[;…]|, | \(")
"""What ends a command line: a comment, another command, a redirection, or that it goes on in words."""


def lines_of_page(text: str) -> Iterator[str]:
    for block in BLOCK.findall(text):
        for line in block.splitlines():
            if not line.startswith("#"):
                yield from COMMAND_LINE.findall(line.removeprefix("$ "))
    for code in re.findall(r"`([^`\n]+)`", BLOCK.sub("", text)):
        yield from COMMAND_LINE.findall(code)


def lines_of_module(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for code in re.findall(r"`(pm [^`\n]+)`", node.value):
                yield from COMMAND_LINE.findall(code)


def words_of(line: str) -> list[str]:
    """Return the words of a command line that a shell would read, up to what is no part of it."""
    quoted: list[str] = []

    def keep(match: re.Match[str]) -> str:
        quoted.append(match[0])
        return f"QUOTED{len(quoted) - 1}"

    bare = re.sub(r"\"[^\"]*\"|'[^']*'", keep, line)
    bare = ENDS.split(bare, maxsplit=1)[0]
    return [word for word in shlex.split(bare) if word not in {"…", "..."}]


def problem(words: list[str]) -> str | None:
    """Return what is wrong with a command line: a name or an option that does not exist, or an argument too many."""
    root: Any = _command()
    command, path, arguments = root, "pm", list[str]()
    options = {name: option for option in root.params for name in [*option.opts, *option.secondary_opts]}
    pending = iter(words)
    for word in pending:
        if word.startswith("-") and word != "-":
            name, _, value = word.partition("=")
            option = options.get(name)
            if option is None and name not in {"-h", "--help"}:
                return f"{path} has no option {name}"
            if option is not None and not option.is_flag and not value:
                next(pending, None)
        elif hasattr(command, "commands") and not arguments:
            if word not in command.commands:
                if not command.invoke_without_command or path == "pm":
                    return f"{path} has no command {word!r}"
                arguments.append(word)
                continue
            command = command.commands[word]
            path += f" {word}"
            options |= {name: option for option in command.params for name in [*option.opts, *option.secondary_opts]}
        else:
            arguments.append(word)
    taken = [argument.nargs for argument in command.params if argument.param_type_name == "argument"]
    if -1 not in taken and len(arguments) > sum(taken):
        return f"{path} takes {sum(taken)} arguments, not {arguments}"
    return None


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_command_lines_of_a_page_exist(path: Path) -> None:
    if path.name == "CHANGELOG.md":  # it also names what was removed
        pytest.skip("a history")
    wrong = [
        (line, why) for line in lines_of_page(path.read_text("utf-8")) if (why := problem(words_of(line))) is not None
    ]
    assert wrong == []


def test_command_lines_of_messages_exist() -> None:
    found = [(path, line) for path in MODULES for line in lines_of_module(path.read_text("utf-8"))]
    wrong = [(path.name, line, why) for path, line in found if (why := problem(words_of(line))) is not None]
    assert wrong == []
    assert len(found) > 100  # or the messages are no longer found


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("rnu", "no command 'rnu'"),
        ("run --as-off 2013-01-01", "no option --as-off"),
        ("lake compactify", "no command 'compactify'"),
        ("tables bars signals", "takes 1 argument"),
        ("signals --format csv | head --lines 3", None),
        ("sql \"FROM bars WHERE ticker = 'AAPL'\" --format parquet -o aapl.parquet  # --comment", None),
        ("trials show NAME", None),
    ],
)
def test_what_is_wrong_is_found(line: str, why: str | None) -> None:
    found = problem(words_of(line))
    assert (why is None) == (found is None), found
    assert (why or "") in (found or "")
