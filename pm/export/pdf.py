"""Print an HTML file as PDF with Chromium, or another browser of its family, without a window."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from pm.errors import InputError, PmError, StorageError
from pm.open_files import replace

__all__ = ["CHROMIUM_NAMES", "find_chromium", "print_pdf"]

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
"""Names under which the program is looked for on the path."""
_WINDOWS_PLACES = (
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
    r"C:\Program Files\Microsoft\Edge\Application\msedge.exe",
)
"""Places in which installers of Windows put it, which they do not add to the path."""
_SECONDS = 120
"""Seconds after which the program is ended."""


def find_chromium() -> str | None:
    """Return the path of the browser; None if there is none."""
    found = next((place for place in map(shutil.which, CHROMIUM_NAMES) if place), None)
    return found or next((place for place in _WINDOWS_PLACES if Path(place).is_file()), None)


def print_pdf(html: str, target: Path) -> None:
    """Write an HTML document that loads no other file as PDF; what was at the target stays until all is done.

    Raises
    ------
    InputError
        There is no Chromium.
    StorageError
        The file cannot be written.
    PmError
        Chromium failed.
    """
    program = find_chromium()
    if program is None:
        raise InputError(
            "A PDF needs Chromium, Chrome or Edge, and none is here.",
            where=str(target),
            hint="install one, or write HTML, which a browser prints: -o FILE.html",
        )
    with tempfile.TemporaryDirectory(prefix="pm-pdf-", ignore_cleanup_errors=True) as folder:
        source, made = Path(folder) / "page.html", Path(folder) / "page.pdf"
        try:
            source.write_text(html, encoding="utf-8")
            _run(program, source, made, Path(folder) / "profile")
            draft = target.with_name(f"{target.name}.part")
            shutil.copyfile(made, draft)
            replace(draft, target)
        except OSError as error:
            target.with_name(f"{target.name}.part").unlink(missing_ok=True)
            raise StorageError(
                f"The PDF cannot be written: {error.strerror}.",
                where=str(target),
                hint="free some space, or choose another folder",
            ) from error


def _run(program: str, source: Path, made: Path, profile: Path) -> None:
    arguments = [
        program,
        "--headless",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--no-pdf-header-footer",
        f"--user-data-dir={profile}",
        f"--print-to-pdf={made}",
        # The sandbox of Chromium cannot be made by root, as in a container. The page is our own and runs no script.
        *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
        source.as_uri(),
    ]
    try:
        done = subprocess.run(arguments, capture_output=True, timeout=_SECONDS, check=False)  # noqa: S603 - our own
    except subprocess.TimeoutExpired:
        done = None
    if not made.is_file() or not made.read_bytes().startswith(b"%PDF"):
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] if done is not None else ["no answer"]
        raise PmError(
            "Chromium made no PDF.", where=f"{program}: {' '.join(said)}", hint="write HTML instead: -o FILE.html"
        )
