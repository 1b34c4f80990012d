"""`pm ask`: answer a question in plain words by one of a set of queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pm.cli.context import open_reader, open_workspace

if TYPE_CHECKING:
    from pm.cli.render import CellFormat
    from pm.lake import Lake
    from pm.llm.asking import Asked, Match
    from pm.llm.questions import Question
    from pm.settings import Settings
    from pm.workspace import Workspace

__all__ = ["ask"]

_WITH_COMMENTARY = ("signal", "opinion", "volatility")
"""Questions whose answer is followed by the commentary on the ticker."""
_SHARES = (
    "confidence", "probability_gain", "probability_loss", "probability_positive", "expected_return", "lower", "upper",
    "size", "annual_volatility", "sigma_of_horizon", "weight", "came_true", "mean_return", "net_return",
)  # fmt: skip
"""Columns of answers that are shown in percent."""
_PRICES = ("open", "high", "low", "close", "stop", "target", "q05", "q50", "q95")
"""Columns of answers that are prices."""


def ask(
    context: typer.Context,
    question: Annotated[str, typer.Argument(metavar="QUESTION", help='A question, such as "why is AAPL a HOLD?".')],
    words: Annotated[bool, typer.Option("--words", help="Match the words alone; load no language model.")] = False,
) -> None:
    """Answer a question by the query that it means, and show the query and its rows.

    The words of the question pick one of a set of queries. Where several are about as near, a language model is asked
    too, if there is one. No SQL is written by a model. If it is not clear which query is meant, the three nearest are
    named.
    """
    from pm.cli.render import print_lines
    from pm.llm.asking import understand

    workspace, settings = open_workspace(context)
    with open_reader(context) as lake:
        known = {str(row["ticker"]) for row in lake.select_rows("data_health", columns=("ticker",))}
        asked = understand(question, known)
        match = _matched(workspace, settings, asked, words=words)
        if not match.is_sure:
            print_lines("It is not clear what is meant.", f"Searched {match.how}.", "The three nearest questions:")
            print_lines(*(f"  {near.name:<11} {near.about}: {near.examples[0]}" for near in match.nearest))
            return
        _answer(workspace, settings, lake, match.nearest[0], asked.ticker, match.how)


def _matched(workspace: Workspace, settings: Settings, asked: Asked, *, words: bool) -> Match:
    """Return the queries that fit; a language model is loaded only if the words leave several open."""
    from dataclasses import replace

    from pm.errors import PmError
    from pm.llm.asking import by_score, by_words
    from pm.llm.available import model_to_use

    plain = by_words(asked)
    if words or not plain.is_open:
        return plain
    problem = model_to_use(workspace.models, settings.llm).problem
    if problem is None:
        from pm.llm.opening import open_model

        try:
            with open_model(workspace.models, settings.llm, lambda line: typer.echo(line, err=True)) as model:
                match = by_score(model, asked, deadline_seconds=settings.llm.bound_seconds)
            if match is not None:
                return match
            problem = f"the language model did not answer in {settings.llm.bound_seconds:g} s"
        except PmError as error:
            problem = f"the language model failed: {error.what.rstrip('.')}"
    return replace(plain, how=f"{plain.how}; {problem}")


def _answer(
    workspace: Workspace, settings: Settings, lake: Lake, question: Question, ticker: str | None, how: str
) -> None:
    """Run the query of a question in the read-only console, and show it and its rows."""
    from pm.cli.render import MAX_ROWS, print_frame, print_lines
    from pm.lake.console import Console
    from pm.lake.limits import QueryLimits
    from pm.lake.location import LakeLocation

    statement = question.statement(ticker)
    chosen = settings.lake
    limits = QueryLimits(seconds=chosen.query_seconds, memory_mb=chosen.query_memory_mb, rows=chosen.query_rows)
    with Console(LakeLocation.of(workspace.lake, chosen), threads=chosen.threads, limits=limits) as console:
        rows = console.query(statement)
    print_lines(f"Understood as: {question.about}.", f"Found {how}.", "", *statement.split("\n"), "")
    print_frame(rows.head(MAX_ROWS), formats=_formats(), total=rows.height)
    if rows.is_empty():
        print_lines("There are no such rows.")
    if ticker is not None and question.name in _WITH_COMMENTARY:
        for said in lake.select_rows("latest_commentary", columns=("text", "risk_level"), ticker=ticker):
            print_lines("", said["text"], f"Risk level: {said['risk_level']}")


def _formats() -> dict[str, CellFormat]:
    """Return the formats of columns that answers have."""
    from pm.price_format import price_specification

    shares = dict.fromkeys(_SHARES, ".1%")
    return {**shares, **dict.fromkeys(_PRICES, price_specification)}
