"""The pages as an ASGI application, which any server of Python's web can run."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import polars as pl
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from pm import __version__
from pm.clock import utc_today
from pm.errors import InputError, LakeError, NoResultsError, PmError, QueryError, UnknownTickerError
from pm.export import FileFormat, encoded
from pm.lake.console import Console
from pm.lake.limits import QueryLimits
from pm.lake.location import LakeLocation
from pm.report.words import FILTERS
from pm.serve import pages
from pm.serve.security import REPORT_POLICY, Gate
from pm.serve.source import Source

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    from jinja2 import Environment
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from pm.lake import Lake
    from pm.reader import Reader
    from pm.settings import Settings
    from pm.workspace import Workspace

__all__ = ["create_app"]

_SECONDS, _MEMORY_MB = 10.0, 500
"""Limits of a query of the page: smaller than those of `pm sql`, since many visitors share the machine."""
_SHOWN, _DOWNLOADED = 1_000, 250_000
"""Largest number of rows that the page shows, and that a download has."""
_QUERIES = 2
"""Largest number of queries at a time."""
_TEXT = "text/html; charset=utf-8"
_TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
_STATUS = {UnknownTickerError: 404, NoResultsError: 404, InputError: 404, QueryError: 400, LakeError: 503}
"""Status of the page that shows an error."""


def create_app(workspace: Workspace, settings: Settings, *, token: str, hosts: Collection[str]) -> ASGIApp:
    """Return the pages of a workspace.

    Parameters
    ----------
    workspace
        The workspace.
    settings
        Its settings.
    token
        First part of every path.
    hosts
        Names by which the server is known, without ports.
    """
    site = _Site(workspace, settings)
    routes = [
        Route("/", site.page("index", pages.index_page)),
        Route("/tickers", site.page("tickers", pages.tickers_page)),
        Route("/tickers/{ticker:path}", site.ticker),
        Route("/portfolio", site.page("portfolio", pages.portfolio_page)),
        Route("/track", site.page("track", pages.track_page)),
        Route("/trials", site.page("trials", pages.trials_page)),
        Route("/data", site.page("data", pages.data_page)),
        Route("/runs", site.page("runs", pages.runs_page)),
        Route("/runs/{run}", site.run),
        Route("/reports/{run}", site.report),
        Route("/sql", site.sql),
        Route("/download/{name}.{form}", site.download),
        Route("/static/{name}", site.static),
    ]
    handlers: dict[Any, Any] = {404: site.not_found, PmError: site.failed}
    inner = Starlette(routes=routes, lifespan=site.lifespan, exception_handlers=handlers)
    return Gate(inner, token=token, hosts=hosts)


class _Site:
    """The pages of one workspace."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self._workspace = workspace
        self._settings = settings
        self._source = Source(workspace.root)
        self._templates = _templates()
        self._running = threading.BoundedSemaphore(_QUERIES)

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Close the lake when the server ends."""
        yield
        self._source.close()

    def page(self, name: str, values: Callable[[Reader, Lake], dict[str, Any]]) -> Callable[[Request], Any]:
        """Return the endpoint of a page without parameters."""

        async def endpoint(request: Request) -> Response:
            return await self._page(request, name, name, values)

        return endpoint

    async def ticker(self, request: Request) -> Response:
        """Answer the page of a ticker."""
        ticker = request.path_params["ticker"]
        return await self._page(request, "ticker", f"ticker {ticker}", partial(pages.ticker_page, ticker=ticker))

    async def run(self, request: Request) -> Response:
        """Answer the page of a run."""
        run = request.path_params["run"]
        return await self._page(request, "run", f"run {run}", partial(pages.run_page, run=run))

    async def _page(
        self, request: Request, template: str, key: str, values: Callable[[Reader, Lake], dict[str, Any]]
    ) -> Response:
        root = request.scope["root_path"]
        key = f"{root} {utc_today()} {key}"  # pages say how old bars are
        body = self._source.kept(key)
        if body is None:
            body = await run_in_threadpool(
                self._source.page, key, lambda reader, lake: self._render(template, root, values(reader, lake))
            )
        return Response(body, media_type=_TEXT, headers={"cache-control": "private, no-cache"})

    def _render(self, template: str, root: str, values: dict[str, Any]) -> bytes:
        page = self._templates.get_template(f"{template}.html.j2")
        return page.render(**values, root=root, version=__version__, workspace=self._workspace.root.name).encode()

    async def report(self, request: Request) -> Response:
        """Answer the file of a report, which runs its own scripts in a sandbox."""
        run = request.path_params["run"]
        if run == "latest":
            reports = await run_in_threadpool(pages.reports_of, self._workspace.reports)
            run = reports[0] if reports else ""
        file = pages.report_file(self._workspace.reports, run)
        headers = {"content-security-policy": REPORT_POLICY, "cache-control": "private, no-cache"}
        return FileResponse(file, media_type=_TEXT, headers=headers)

    async def sql(self, request: Request) -> Response:
        """Answer the page of queries, or the result of one as a file."""
        query = request.query_params.get("q", "").strip()
        form = request.query_params.get("form", "")
        error, frame = "", None
        if query:
            try:
                frame = await run_in_threadpool(self._query, query, _DOWNLOADED if form else _SHOWN)
            except PmError as problem:
                error = problem.what + (f"\n{problem.where}" if problem.where.startswith("line ") else "")
        if form and frame is not None:
            return _file(frame, form, "query")
        values = {"query": query, "error": error, "frame": frame, "encoded": quote(query), "limit": _SHOWN}
        body = await run_in_threadpool(self._render, "sql", request.scope["root_path"], values)
        status = 400 if error else 200
        return Response(body, status_code=status, media_type=_TEXT, headers={"cache-control": "no-store"})

    def _query(self, query: str, rows: int) -> pl.DataFrame:
        """Run a query with its limits of time and memory, and return its first rows."""
        if not self._running.acquire(blocking=False):
            raise QueryError(f"{_QUERIES} queries are running already. Try again in some seconds.")
        try:
            location = LakeLocation.of(self._workspace.lake, self._settings.lake)
            limits = QueryLimits(seconds=_SECONDS, memory_mb=_MEMORY_MB)
            with Console(location, threads=self._settings.lake.threads, limits=limits) as console:
                parts: list[pl.DataFrame] = []
                for part in console.stream(query):
                    parts.append(part)
                    if sum(frame.height for frame in parts) > rows:
                        break
                return pl.concat(parts).head(rows + 1)
        finally:
            self._running.release()

    async def download(self, request: Request) -> Response:
        """Answer a table or a view as a file."""
        name, form = request.path_params["name"], request.path_params["form"]
        if form not in _TYPES:
            raise InputError("There are downloads as csv and parquet only.")
        known = await run_in_threadpool(self._source.read, _names)
        if name not in known.decode().split("\n"):
            raise NoResultsError("There is no such table or view.")
        relation = ".".join(f'"{part}"' for part in name.split("."))
        frame = await run_in_threadpool(self._query, f"FROM {relation}", _DOWNLOADED)
        return _file(frame, form, name)

    async def static(self, request: Request) -> Response:
        """Answer a stylesheet."""
        package = {"report.css": "pm.report", "serve.css": "pm.serve"}.get(request.path_params["name"])
        if package is None:
            raise NoResultsError("There is no such file.")
        text = files(package).joinpath(request.path_params["name"]).read_bytes()
        return Response(text, media_type="text/css; charset=utf-8", headers={"cache-control": "private, max-age=300"})

    async def not_found(self, request: Request, _: Exception) -> Response:
        """Answer that there is no such page."""
        return await self.failed(request, NoResultsError("There is no such page."))

    async def failed(self, request: Request, error: Exception) -> Response:
        """Answer an error of a user with its words."""
        assert isinstance(error, PmError)  # noqa: S101 - the handler of these
        status = _STATUS.get(type(error), 500)
        values = {"what": error.what, "hint": error.hint if status == 503 else "", "status": status}
        body = self._render("error", request.scope["root_path"], values)
        return Response(body, status_code=status, media_type=_TEXT, headers={"cache-control": "no-store"})


def _names(_: Reader, lake: Lake) -> bytes:
    from pm.lake.description import tables_and_views

    return "\n".join(tables_and_views(lake)["name"]).encode()


def _file(frame: pl.DataFrame, form: str, name: str) -> Response:
    """Return the rows of a frame as a file.

    Raises
    ------
    InputError
        The form is not known.
    QueryError
        There are too many rows.
    """
    if form not in _TYPES:
        raise InputError("There are downloads as csv and parquet only.")
    if frame.height > _DOWNLOADED:
        raise QueryError(f"There are more than {_DOWNLOADED:,} rows. Narrow the query, or use pm sql.")
    content = b"".join(encoded([frame], FileFormat(form)))
    safe = name.replace(".", "_")
    headers = {"content-disposition": f'attachment; filename="{safe}.{form}"', "cache-control": "no-store"}
    return Response(content, media_type=_TYPES[form], headers=headers)


def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pm.serve"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.filters["segment"] = lambda text: quote(str(text), safe="")
    environment.filters["cell"] = _cell
    return environment


def _cell(value: Any) -> str:  # noqa: ANN401 - any value of a table
    """Return a value of a table as text."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, Decimal):
        return f"{value.normalize():,f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,d}"
    return str(value)
