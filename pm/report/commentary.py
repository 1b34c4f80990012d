"""Cut the texts about a ticker into pieces, so that each number links to the query that shows its cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from pm.tables.vocabulary import Writer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pm.report.data import ReportData

__all__ = ["spoken_cards"]

Row = dict[str, Any]

_COMMENTARY = "commentary"
"""Part of the cells that is about the commentary; the others are about the concern of this name."""


def spoken_cards(data: ReportData, tickers: Sequence[str]) -> dict[str, Row]:
    """Return what the cards of tickers say in words, by ticker; none of those of which nothing is said.

    Returns
    -------
    dict
        pieces: the commentary as a list of pieces with text and cell, the number of its cell in `cells` or None.
        writer: who wrote it, in few words. level, summary: the risk level, and the concerns in few words; None without
        an assessment. concerns: a list of such pieces for each. cells: text, quantity and query of each cell.
    """
    commentary, cells, assessments, concerns = (
        _rows(frame, tickers)
        for frame in (
            data.commentary,
            _in_order(data.commentary_cells, data.concerns),
            data.assessments,
            data.concerns.sort("place"),
        )
    )
    cards = {}
    for ticker, (said, *_) in commentary.items():
        own = cells.get(ticker, [])
        parts: dict[str, list[Row]] = {}
        for number, cell in enumerate(own, start=1):
            parts.setdefault(cell["part"], []).append(cell | {"cell": number})
        risk = next(iter(assessments.get(ticker, [])), None)
        held = concerns.get(ticker, [])
        cards[ticker] = {
            "pieces": _pieces(said["text"], parts.get(_COMMENTARY, [])),
            "writer": _writer(said),
            "level": risk and risk["level"],
            "summary": ", ".join(concern["concern"].replace("_", " ") for concern in held),
            "concerns": [_pieces(concern["text"], parts.get(concern["concern"], [])) for concern in held],
            "cells": own,
        }
    return cards


def _in_order(cells: pl.DataFrame, concerns: pl.DataFrame) -> pl.DataFrame:
    """Return the cells of the commentary, then those of each concern in the order of the concerns."""
    order = concerns.select("ticker", part="concern", of_part="place")
    joined = cells.join(order, on=["ticker", "part"], how="left", maintain_order="left")
    return joined.sort("of_part", "place", nulls_last=False)


def _rows(frame: pl.DataFrame, tickers: Sequence[str]) -> Mapping[str, list[Row]]:
    parts = frame.filter(pl.col("ticker").is_in(list(tickers))).partition_by(
        "ticker", as_dict=True, maintain_order=True
    )
    return {str(ticker): part.to_dicts() for (ticker,), part in parts.items()}


def _pieces(text: str, cells: Sequence[Row]) -> list[Row]:
    """Return a text in pieces, each with the number of the cell that it is from; None for words."""
    pieces = []
    end = 0
    for cell in cells:
        start = cell["text_start"]
        if start is None:
            continue
        if text[end:start]:
            pieces.append({"text": text[end:start], "cell": None})
        end = start + len(cell["text"])
        pieces.append({"text": text[start:end], "cell": cell["cell"]})
    if text[end:]:
        pieces.append({"text": text[end:], "cell": None})
    return pieces


def _writer(said: Row) -> str:
    if said["writer"] == Writer.MODEL:
        return f"language model {said['model']}, every number and claim checked by code"
    return (
        f"code, in the order that language model {said['model']} chose" if said["writer"] == Writer.ORDERED else "code"
    )
