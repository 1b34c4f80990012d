"""`pm models`: find, check, add, choose and time language models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pm.cli.context import open_workspace
from pm.cli.paths import expand_home
from pm.cli.prose_check import check_prose_shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.llm.bench import ModelBench
    from pm.llm.models import Model
    from pm.settings import LlmSettings
    from pm.workspace import Workspace

__all__ = ["app"]

app = typer.Typer(help="Find, check, add, choose and time language models.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of a model, as `pm models list` shows it.")]


@app.command("list")
def list_(context: typer.Context) -> None:
    """List the models that are here, which one runs use, and what is wrong with the others."""
    import polars as pl

    from pm.cli.render import print_frame, print_lines
    from pm.llm.available import here
    from pm.llm.engine import is_installed, require_installed
    from pm.llm.models import choose_model, free_bytes, problem_of
    from pm.llm.registry import Registry

    workspace, settings = open_workspace(context)
    registry = Registry(workspace.models, lambda line: typer.echo(line, err=True))
    models = here(workspace.models, settings.llm)
    free = free_bytes()
    choice = choose_model(models, settings.llm, registry, free)
    rows = []
    for model in models:
        header = model.header
        bench = (registry.bench(model.sha256(registry)) if header is not None and model.source is None else None) or {}
        rows.append(
            {
                "used": "yes" if model == choice.model else "",
                "model": model.name,
                "from": model.origin,
                "kind": header and f"{header.architecture} {header.quantisation}",
                "size_mb": header and header.bytes / 1e6,
                "memory_mb": model.memory_bytes(settings.llm) / 1e6 if header else None,
                "context": header and header.context_tokens,
                "p95_s": bench.get("p95_seconds"),
                "problem": problem_of(model, settings.llm, free),
            }
        )
    schema = {
        "used": pl.String, "model": pl.String, "from": pl.String, "kind": pl.String, "size_mb": pl.Float64,
        "memory_mb": pl.Float64, "context": pl.Int64, "p95_s": pl.Float64, "problem": pl.String,
    }  # fmt: skip
    print_frame(
        pl.DataFrame(rows, schema=schema),
        formats={"size_mb": ",.0f", "memory_mb": ",.0f", "context": ",d", "p95_s": ".2f"},
        optional=[["context"], ["memory_mb"]],
    )
    print_lines("", f"llm.chain: {', '.join(settings.llm.chain)}; {free / 1e6:,.0f} MB of memory are free.")
    print_lines(*(f"{name} is passed over. {reason}" for name, reason in choice.passed_over))
    if not settings.llm.enabled:
        print_lines("Runs use no model: llm.enabled is false.")
    if not is_installed():
        require_installed()
    if choice.model is None:
        raise _none_usable(choice.passed_over)


def _none_usable(passed_over: Sequence[tuple[str, str]]) -> Exception:
    from pm.errors import ModelError
    from pm.llm.engine import INSTALL

    return ModelError(
        "No language model can be used.",
        where=f"llm.chain: {', '.join(name for name, _ in passed_over)}",
        hint=f"install the default model: {INSTALL}; or pm models use NAME",
    )


@app.command()
def check(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Name of a model.", show_default="the one that runs use"),
    ] = None,
    prose: Annotated[
        bool,
        typer.Option("--prose", help="Let it write about 50 sheets of facts; if 95% of its texts hold, it may write."),
    ] = False,
) -> None:
    """Load a model, ask it a few things, and show what it answered, how fast, and how noisy its scores are.

    The exit code is 0 if it can be used, and 20 if not.
    """
    from pm.cli.render import print_lines
    from pm.plural import plural

    workspace, settings = open_workspace(context)
    model = _named(workspace, settings.llm, name)
    with _loaded(workspace, settings.llm, model) as engine:
        if prose:
            check_prose_shown(workspace, engine)
            return
        info = engine.info
        scores = engine.score(
            "Headline: Profit doubles.\nSentiment:", [""], [" positive", " negative"], deadline_seconds=60
        )
        text = engine.generate(["The price of a share is"], max_tokens=16, seed=1, deadline_seconds=60)
        values = scores.values[0] or (float("nan"), float("nan"))
        print_lines(
            f"Model {info.name}: sha256 {info.sha256}",
            f"Loaded in {info.load_seconds:.1f} s with {plural(info.threads, 'thread')}; it reads "
            f"{info.context_tokens:,} tokens, and holds {text.call.memory_bytes / 1e6:,.0f} MB.",
            f"Noise of a log-probability: {info.noise:.3f}. Differences within it say nothing.",
            f"'Profit doubles' is positive rather than negative by {values[0] - values[1]:+.2f}.",
            f"It wrote {text.call.output_tokens} tokens in {text.call.seconds:.2f} s, to show its speed: "
            f"The price of a share is{text.text} …",
        )


@app.command()
def add(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="File of a model in GGUF.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name to give it. [default: that of the file]")
    ] = None,
) -> None:
    """Put a model's file into the workspace, as a link where that is possible. It is checked first."""
    from pm.cli.render import print_lines
    from pm.llm.adding import add_model

    workspace, _ = open_workspace(context)
    added = add_model(expand_home(path), workspace.models, name)
    print_lines(
        f"Model {added.name} is in {added.path}.",
        f"Use it: pm models bench {added.name}, then pm models use {added.name}",
    )


@app.command()
def use(context: typer.Context, name: _Name) -> None:
    """Let runs use a model, and those of llm.chain behind it where it cannot be: writes config/llm.yml."""
    from pm.cli.render import print_lines
    from pm.llm.models import free_bytes, problem_of
    from pm.llm.registry import Registry
    from pm.settings.llm import DEFAULT_MODEL

    workspace, settings = open_workspace(context)
    model = _named(workspace, settings.llm, name)
    problem = problem_of(model, settings.llm, free_bytes())
    if problem is not None:
        raise _unusable(model, problem)
    others = (one for one in settings.llm.chain if f"{one}:latest" != model.name)
    _write_chain(workspace, list(dict.fromkeys([model.name, *others, DEFAULT_MODEL])))
    print_lines(f"Runs use {model.name} from now on.")
    registry = Registry(workspace.models)
    if not model.is_default and registry.bench(model.sha256(registry)) is None:
        print_lines(f"It was not timed here yet, and is used only then: pm models bench {model.name}")


@app.command()
def default(context: typer.Context) -> None:
    """Let runs use the default model, and make its file if it is not there yet."""
    from pm.cli.render import print_lines
    from pm.llm.models import prepare_default
    from pm.llm.registry import Registry
    from pm.settings.llm import DEFAULT_MODEL

    workspace, settings = open_workspace(context)
    model = _named(workspace, settings.llm, DEFAULT_MODEL)
    if model.problem is not None:
        raise _unusable(model, model.problem)
    prepare_default(model, Registry(workspace.models), print_lines)
    _write_chain(workspace, [DEFAULT_MODEL])
    print_lines("Runs use the default model from now on.")


@app.command()
def bench(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Names of models.", show_default="all that are here and fit"),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the results to a file too, as JSON.")
    ] = None,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Number of calls of each kind.")] = 8,
) -> None:
    """Time models against llm.bound_seconds, and say which to use and why.

    The result is remembered: a model other than the default one is used in runs only if it met the bound.
    """
    from pm.cli.render import print_lines
    from pm.llm.available import here
    from pm.llm.bench import recommendation
    from pm.llm.models import free_bytes, problem_of
    from pm.settings.llm import DEFAULT_MODEL

    workspace, settings = open_workspace(context)
    if names:
        models = [_named(workspace, settings.llm, name) for name in names]
    else:
        models = []
        for model in here(workspace.models, settings.llm):
            if (problem := problem_of(model, settings.llm, free_bytes())) is None:
                models.append(model)
            else:
                print_lines(f"{model.name} is left out. {problem}")
    results = [_bench(workspace, settings.llm, model, rounds) for model in models]
    if not results:
        raise _none_usable([(name, "") for name in settings.llm.chain])
    _print_bench(results)
    best, why = recommendation(results, settings.llm.chain, DEFAULT_MODEL)
    print_lines("", why)
    if json_file is not None:
        _write_json(expand_home(json_file), results, best, why)


def _bench(workspace: Workspace, settings: LlmSettings, model: Model, rounds: int) -> ModelBench:
    from pm.clock import utc_now
    from pm.llm.bench import bench_model
    from pm.llm.registry import Registry

    def progress(done: int, of: int) -> None:
        typer.echo(f"{model.name}: {done} of {of} rounds", err=True) if done in {1, of} else None

    with _loaded(workspace, settings, model) as engine:
        result = bench_model(engine, bound_seconds=settings.bound_seconds, rounds=rounds, progress=progress)
    Registry(workspace.models).set_bench(result.sha256, {**result.to_json(), "at": utc_now().isoformat()})
    return result


def _print_bench(results: Sequence[ModelBench]) -> None:
    import polars as pl

    from pm.cli.render import print_frame

    rows = [
        {
            "model": result.name,
            "calls": result.calls,
            "p50_s": result.p50_seconds,
            "p95_s": result.p95_seconds,
            "in_time": "yes" if result.meets_bound else "no",
            "scored_per_s": result.scored_per_second,
            "tokens_per_s": result.tokens_per_second,
            "memory_mb": result.memory_bytes / 1e6,
            "noise": result.noise,
            "threads": result.threads,
        }
        for result in results
    ]
    formats = {
        "p50_s": ".2f", "p95_s": ".2f", "scored_per_s": ",.1f", "tokens_per_s": ",.0f", "memory_mb": ",.0f",
        "noise": ".3f",
    }  # fmt: skip
    print_frame(pl.DataFrame(rows), formats=formats, optional=[["threads"], ["noise"]])


def _write_json(file: Path, results: Sequence[ModelBench], best: str | None, why: str) -> None:
    import json

    from pm.clock import utc_now
    from pm.errors import StorageError
    from pm.open_files import write_whole

    content: dict[str, Any] = {
        "at": utc_now().isoformat(),
        "models": [result.to_json() for result in results],
        "recommended": best,
        "reason": why,
    }
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(content, indent=2) + "\n")
    except OSError as error:
        raise StorageError(
            f"The results cannot be written: {error.strerror}.", where=str(file), hint="name another file"
        ) from None


def _named(workspace: Workspace, settings: LlmSettings, name: str | None) -> Model:
    """Return the model of a name, or the one that runs use."""
    from pm.llm.available import here
    from pm.llm.models import choose_model, require_model
    from pm.llm.registry import Registry

    models = here(workspace.models, settings)
    if name is not None:
        return require_model(models, name)
    registry = Registry(workspace.models, lambda line: typer.echo(line, err=True))
    choice = choose_model(models, settings, registry)
    if choice.model is None:
        raise _none_usable(choice.passed_over)
    return choice.model


def _loaded(workspace: Workspace, settings: LlmSettings, model: Model) -> Any:  # noqa: ANN401 - an Engine, not imported here
    """Return an engine with the model; the default one is made first."""
    from pm.llm.models import prepare_default
    from pm.llm.opening import load
    from pm.llm.registry import Registry

    registry = Registry(workspace.models)
    if model.problem is not None:
        raise _unusable(model, model.problem)
    return load(prepare_default(model, registry, lambda line: typer.echo(line, err=True)), settings, registry)


def _unusable(model: Model, problem: str) -> Exception:
    from pm.errors import ModelError

    return ModelError(
        f"Model {model.name} cannot be used. {problem}", where=str(model.path), hint="choose another: pm models list"
    )


def _write_chain(workspace: Workspace, names: Sequence[str]) -> None:
    from pm.settings.edit import write_list

    write_list(workspace.config / "llm.yml", "chain", names)
