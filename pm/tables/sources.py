"""Declare the tables of what sources delivered: schema `raw`, append only."""

from __future__ import annotations

from pm.tables.declaration import DATE, FLAG, INTEGER, LANDED, PRICES, REAL, TEXT, TIME, Column, Table

__all__ = [
    "FETCHES",
    "FOLDERS",
    "RAW_ACTIONS",
    "RAW_BARS",
    "RAW_BATCHES",
    "RAW_TEXTS",
    "SPLICES",
    "TEXT_FETCHES",
    "UNIVERSE",
    "UNIVERSE_CHANGES",
]

RAW_BARS = Table(
    "raw",
    "bars",
    "Bars exactly as a source sent them; append only.",
    ("batch_id", "row"),
    (
        Column("ticker", TEXT, "Ticker as the source spells it."),
        Column("date", DATE, "Session (trading day)."),
        *PRICES,
        Column(
            "adj_close",
            REAL,
            "Closing price adjusted by the source for splits and dividends; null if it sends none.",
        ),
        Column("volume", REAL, "Number of shares traded; null if the source sends none."),
        *LANDED,
    ),
)

RAW_ACTIONS = Table(
    "raw",
    "actions",
    "Dividends and splits exactly as a source sent them; append only.",
    ("batch_id", "row"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("date", DATE, "Ex-date: the first session that trades without the dividend, or after the split."),
        Column("kind", TEXT, "'dividend' or 'split'."),
        Column(
            "value",
            REAL,
            "Dividend per share, in the currency of the price; or, of a split, number of new shares for an old one.",
        ),
        *LANDED,
    ),
)

RAW_BATCHES = Table(
    "raw",
    "batches",
    "A delivery of bars: one fetch, or one imported file.",
    ("batch_id",),
    (
        Column("batch_id", TEXT, "Batch; identifiers sort by time."),
        Column("run_id", TEXT, "Run that stored the batch; see runs."),
        Column("origin", TEXT, "Source that delivered the batch, such as 'sample' or 'files'."),
        Column("path", TEXT, "File that the batch was read from; null for a fetch."),
        Column("fingerprint", TEXT, "Hash of the content, by which a second import of the same file is recognised."),
        Column("bars", INTEGER, "Number of bars."),
        Column("actions", INTEGER, "Number of dividends and splits."),
        Column("tickers", INTEGER, "Number of different tickers."),
        Column("first_date", DATE, "First date of the bars."),
        Column("last_date", DATE, "Last date of the bars."),
        Column(
            "decimals",
            INTEGER,
            "Largest number of decimals of a close; null if it is more than 8, or if the close changes fewer than 20 "
            "times. A price that differs from an earlier one by rounding to these decimals alone is unchanged.",
        ),
        Column("adj_decimals", INTEGER, "Largest number of decimals of an adjusted close; null as for decimals."),
        Column("landed_at", TIME, "Time at which the batch was stored, in UTC."),
    ),
)

RAW_TEXTS = Table(
    "raw",
    "texts",
    "A text about a ticker, such as an article of the news, as a source sent it first; append only.",
    ("ticker", "source", "source_id"),
    (
        Column("ticker", TEXT, "Ticker that the text is about."),
        Column("published_at", TIME, "Time at which it was published, in UTC, as the source tells it."),
        Column("headline", TEXT, "Headline, in one line; null for a text without one."),
        Column("text", TEXT, "The text, or the summary that a vendor sends; null where there is a headline alone."),
        Column("publisher", TEXT, "Who published it, as the source writes the name; null if it is not told."),
        Column("url", TEXT, "Address at which it can be read; null if it is not told."),
        Column("source", TEXT, "Source that the text came from, such as 'finnhub' or 'files'."),
        Column(
            "source_id",
            TEXT,
            "Identifier of the text at its source, by which it is known when it is sent again. A source without "
            "identifiers of its own gets a hash of the time and the words.",
        ),
        Column("fetched_at", TIME, "Time at which it came, in UTC."),
        Column("run_id", TEXT, "Run that stored it; see runs."),
    ),
)

UNIVERSE = Table(
    "main",
    "universe",
    "The watch list: the tickers that runs are about. While it is empty, runs are about all tickers of imported files, "
    "or of the embedded sample where nothing was imported.",
    ("ticker",),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("source", TEXT, "Source that its bars come from."),
        Column("added_at", TIME, "Time at which it was added, in UTC."),
        Column("run_id", TEXT, "Run that added it; see runs."),
        Column("name", TEXT, "Name of the company or fund, as its source writes it; null if it is not known."),
        Column("exchange", TEXT, "Exchange: an ISO 10383 code where it is known, else as the source writes it."),
        Column("currency", TEXT, "Code of the currency of the prices, or of its hundredth, such as GBp; see fetches."),
        Column(
            "symbols",
            TEXT,
            "The ticker as sources spell it, as a JSON object from source to symbol; null where all is as usual.",
        ),
        Column("status", TEXT, "'active' or 'delisted'; null, in lakes of older versions, for active."),
    ),
)

UNIVERSE_CHANGES = Table(
    "main",
    "universe_changes",
    "A ticker that was added to the watch list, or removed from it: a backtest is about those that were on it then.",
    ("run_id", "ticker"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("watched", FLAG, "Whether it was on the list from then on."),
        Column("recorded_at", TIME, "Time of the change, in UTC."),
        Column("run_id", TEXT, "Run that made it; see runs."),
    ),
    inlined_rows=100,
)

FETCHES = Table(
    "main",
    "fetches",
    "What a refresh asked a source for a ticker, and what it got.",
    ("ticker", "vendor", "fetched_at"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("vendor", TEXT, "Source that was asked."),
        Column("asked_from", DATE, "First day asked for; null for the whole history."),
        Column("asked_to", DATE, "Last day asked for."),
        Column("bars", INTEGER, "Number of bars that landed."),
        Column("last_date", DATE, "Date of the last bar that landed; null without any."),
        Column("reason", TEXT, "Reason for which nothing landed, in one word; null if it did. See docs/vocabulary.md."),
        Column("detail", TEXT, "Reason in a sentence, with what to do about it; null if the answer landed."),
        Column("seconds", REAL, "Time that the request took, in seconds."),
        Column("retry_after", TIME, "Time before which the source asks not to be asked again, in UTC; null if none."),
        Column("due_at", TIME, "Time from which the ticker is asked for again, in UTC."),
        Column("run_id", TEXT, "Run that asked; see runs."),
        Column("fetched_at", TIME, "Time of the answer, in UTC."),
    ),
)

TEXT_FETCHES = Table(
    "main",
    "text_fetches",
    "What a run asked a source of texts for a ticker, and what it got.",
    ("ticker", "vendor", "fetched_at"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("vendor", TEXT, "Source that was asked."),
        Column("asked_from", DATE, "First day asked for."),
        Column("asked_to", DATE, "Last day asked for."),
        Column("sent", INTEGER, "Number of texts in the reply. Those that are neither new nor refused were known."),
        Column("texts", INTEGER, "Number of texts that were new, and landed."),
        Column("refused", INTEGER, "Number of texts that cannot be used; column `detail` says why."),
        Column(
            "last_published_at",
            TIME,
            "Publication of the newest text of the ticker that is known of the source, in UTC; null without any.",
        ),
        Column(
            "reason", TEXT, "Reason for which there was nothing, in one word; null if there was a reply. See fetches."
        ),
        Column("detail", TEXT, "That reason in a sentence, or what was refused of a reply; null if all is well."),
        Column("seconds", REAL, "Time that the request took, in seconds."),
        Column("retry_after", TIME, "Time before which the source asks not to be asked again, in UTC; null if none."),
        Column("due_at", TIME, "Time from which the ticker is asked for again, in UTC."),
        Column("run_id", TEXT, "Run that asked; see runs."),
        Column("fetched_at", TIME, "Time of the reply, in UTC."),
    ),
)

SPLICES = Table(
    "main",
    "splices",
    "A ticker whose bars were continued from another source than its own, since that one gave none: closes of both "
    "sources on the same dates agree.",
    ("ticker", "vendor", "date"),
    (
        Column("ticker", TEXT, "Ticker."),
        Column("vendor", TEXT, "Source that continues the bars."),
        Column(
            "date",
            DATE,
            "Last date on which the closes were compared: bars of the source count after it, until the splice ends.",
        ),
        Column("continued", TEXT, "Source of the bars before."),
        Column("dates", INTEGER, "Number of dates on which the closes as traded were compared, and agree."),
        Column("largest_difference", REAL, "Largest relative difference of two closes on one of these dates."),
        Column("run_id", TEXT, "Run that continued them; see runs."),
        Column("spliced_at", TIME, "Time of the decision, in UTC."),
        Column(
            "ended_by",
            TEXT,
            "Batch in which the source of the bars before sent these days itself, so that no bar of the other source "
            "counts any more; null while they count.",
        ),
    ),
)

FOLDERS = Table(
    "main",
    "folders",
    "A folder of files that is watched: a refresh lands what is new or changed in it.",
    ("path",),
    (
        Column("path", TEXT, "Path of the folder."),
        Column("state", TEXT, "Hash of the names, sizes and times of its files when they were read last; null before."),
        Column("added_at", TIME, "Time from which it is watched, in UTC."),
        Column("run_id", TEXT, "Run that added it; see runs."),
        Column(
            "problem",
            TEXT,
            "What could not be read when it was read last, or that it was not there; null if all could.",
        ),
    ),
)
