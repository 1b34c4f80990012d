"""Find models that were pulled with Ollama, where Ollama keeps them. Nothing is copied, and Ollama need not run.

A store has a manifest for each name, `manifests/<host>/<namespace>/<model>/<tag>`, in JSON. It lists layers by their
digests; the layer with the weights has a type of its own, and its file is `blobs/sha256-<digest>`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from os.path import isfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["OllamaModel", "ollama_models"]

_WEIGHTS = "application/vnd.ollama.image.model"
"""Type of the layer that holds the weights."""
_DIGEST = re.compile(r"sha256[:-]([0-9a-f]{64})")
_DEFAULT_HOST = "registry.ollama.ai"
_DEFAULT_NAMESPACE = "library"
_LARGEST_MANIFEST = 1_000_000
"""Largest size of a manifest in bytes; real ones have a thousand."""


@dataclass(frozen=True)
class OllamaModel:
    """A model of a store.

    Attributes
    ----------
    name
        Name as Ollama shows it, such as 'qwen2.5:14b'.
    path
        The file with the weights; the manifest, where there is none.
    sha256
        Hash of the weights, by which the store names their file; empty if there are none.
    problem
        Why it cannot be used; None if nothing is known against it.
    """

    name: str
    path: Path
    sha256: str
    problem: str | None = None


def ollama_models(roots: Sequence[Path]) -> list[OllamaModel]:
    """Return the models of stores, by name; of equal names the first store's.

    Parameters
    ----------
    roots
        Folders that have folders manifests and blobs. Those that do not exist, or must not be read, are passed over.
    """
    found: dict[str, OllamaModel] = {}
    for root in roots:
        for manifest in _manifests(root):
            model = _model(root, manifest)
            found.setdefault(model.name, model)
    return [found[name] for name in sorted(found)]


def _manifests(root: Path) -> Iterator[Path]:
    """Yield the files at the depth of manifests."""
    folders = [root / "manifests"]
    for depth in range(4):
        entries: list[Path] = []
        for folder in folders:
            try:
                entries += sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
            except OSError:
                continue
        if depth == 3:
            # is_file raises where a folder can be listed and not entered
            yield from (entry for entry in entries if isfile(entry))  # noqa: PTH113
            return
        folders = entries


def _model(root: Path, manifest: Path) -> OllamaModel:
    name = _name(manifest.relative_to(root / "manifests").parts)
    try:
        layers = _layers(manifest)
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "it is not JSON with a list of layers"
        return OllamaModel(name, manifest, "", f"Ollama's manifest cannot be read: {reason}.")
    weights = [layer for layer in layers if layer.get("mediaType") == _WEIGHTS]
    if not weights:
        return OllamaModel(name, manifest, "", "Ollama runs this model on another machine: no weights are here.")
    if len(weights) > 1:
        return OllamaModel(name, manifest, "", "Its weights are split into several files, which is not supported.")
    digest = _DIGEST.fullmatch(str(weights[0].get("digest")))
    if digest is None:
        return OllamaModel(name, manifest, "", "Ollama's manifest does not name a file of weights by its hash.")
    blob = root / "blobs" / f"sha256-{digest[1]}"
    return OllamaModel(name, blob, digest[1], _problem(blob, weights[0].get("size")))


def _name(parts: Sequence[str]) -> str:
    """Return the name of a model as Ollama shows it: the usual host and namespace are left out."""
    host, namespace, model, tag = parts
    shown = f"{model}:{tag}"
    if host != _DEFAULT_HOST:
        return f"{host}/{namespace}/{shown}"
    return shown if namespace == _DEFAULT_NAMESPACE else f"{namespace}/{shown}"


def _layers(manifest: Path) -> list[dict[str, Any]]:
    if manifest.stat().st_size > _LARGEST_MANIFEST:
        raise ValueError("too large")
    content = json.loads(manifest.read_text(encoding="utf-8"))
    layers = content.get("layers") if isinstance(content, dict) else None
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise ValueError("no layers")
    return layers


def _problem(blob: Path, size: object) -> str | None:
    """Return why a file of weights cannot be used."""
    try:
        found = blob.stat().st_size
    except OSError:
        is_partial = any(blob.parent.glob(f"{blob.name}-partial*"))
        return (
            "Ollama has not pulled all of its weights yet: only a part of the file is here."
            if is_partial
            else "The file of its weights is missing from Ollama's store."
        )
    if isinstance(size, int) and found != size:
        return f"The file of its weights has {found:,} bytes, and {size:,} by Ollama's manifest."
    return None
