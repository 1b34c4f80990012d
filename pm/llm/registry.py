"""Remember what is known of models: hashes of their files, how fast they were here, and what they passed.

It is kept in models/models.json of the workspace. Without it everything is found out again: hashes are computed, and a
model counts as not timed.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from pm.errors import ModelError, StorageError
from pm.open_files import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Registry"]

_FILE = "models.json"
_CHUNK = 2**22
"""Number of bytes that are hashed at once."""
_LONG = 2**30
"""Size in bytes of a file from which hashing it takes long enough to be told."""


class Registry:
    """What is known of models.

    Parameters
    ----------
    folder
        Folder of the workspace's models. It is made when something is first written.
    notify
        Called with a line before a file is hashed that takes long.
    """

    def __init__(self, folder: Path, notify: Callable[[str], None] | None = None) -> None:
        self._file = folder / _FILE
        self._notify = notify
        self._content = self._read()

    def sha256(self, path: Path) -> str:
        """Return the hash of a file's content, in hexadecimal digits. It is computed anew when the file has changed.

        Raises
        ------
        ModelError
            The file cannot be read.
        StorageError
            The hash cannot be kept.
        """
        try:
            stat = path.stat()
            known = self._section("files").get(str(path))
            if (
                isinstance(known, dict)
                and (known.get("bytes"), known.get("modified_ns")) == (stat.st_size, stat.st_mtime_ns)
                and isinstance(known.get("sha256"), str)
            ):
                return str(known["sha256"])
            if self._notify is not None and stat.st_size >= _LONG:
                self._notify(f"Computing the hash of the language model {path}, once: {stat.st_size / 1e6:,.0f} MB.")
            digest = _hash(path)
        except OSError as error:
            raise ModelError(
                f"The model cannot be read: {error.strerror}.",
                where=str(path),
                hint="check the path and its permissions",
            ) from None
        self._set("files", str(path), {"bytes": stat.st_size, "modified_ns": stat.st_mtime_ns, "sha256": digest})
        return digest

    def made_from(self, path: Path) -> str | None:
        """Return the hash of the file that a file was made from; None if it was not made here, or has changed since.

        Raises
        ------
        ModelError, StorageError
            See `sha256`.
        """
        made = self._entry("made_from", str(path))
        if made is None or not isinstance(source := made.get("source_sha256"), str):
            return None
        return source if made.get("sha256") == self.sha256(path) else None

    def set_made_from(self, path: Path, source_sha256: str) -> None:
        """Keep which file a file was made from, by its hash.

        Raises
        ------
        ModelError, StorageError
            See `sha256`.
        """
        self._set("made_from", str(path), {"source_sha256": source_sha256, "sha256": self.sha256(path)})

    def bench(self, sha256: str) -> dict[str, Any] | None:
        """Return what the last bench of a model found here; None if there was none."""
        return self._entry("benches", sha256)

    def set_bench(self, sha256: str, result: dict[str, Any]) -> None:
        """Keep what a bench of a model found."""
        self._set("benches", sha256, result)

    def check(self, sha256: str, kind: str) -> dict[str, Any] | None:
        """Return what a check of a model found, such as kind 'prose'; None if there was none."""
        return self._entry(f"checks.{kind}", sha256)

    def set_check(self, sha256: str, kind: str, result: dict[str, Any]) -> None:
        """Keep what a check of a model found."""
        self._set(f"checks.{kind}", sha256, result)

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            content = None
        return content if isinstance(content, dict) else {}

    def _section(self, name: str) -> dict[str, Any]:
        section = self._content.get(name)
        return section if isinstance(section, dict) else {}

    def _entry(self, section: str, key: str) -> dict[str, Any] | None:
        entry = self._section(section).get(key)
        return entry if isinstance(entry, dict) else None

    def _set(self, section: str, key: str, value: object) -> None:
        self._content = self._read()  # another command may have written since
        self._content = {**self._content, section: {**self._section(section), key: value}}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._file, json.dumps(self._content, indent=1, sort_keys=True) + "\n")
        except OSError as error:
            raise StorageError(
                f"What is known of models cannot be kept: {error.strerror}.",
                where=str(self._file),
                hint="free some space, or correct the permissions",
            ) from None


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
