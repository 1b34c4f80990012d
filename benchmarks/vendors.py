"""Measure a night of Yahoo: 2,000 tickers at 50 ms a reply, from a server on this computer in a process of its own.

Usage: python benchmarks/vendors.py [--tickers N] [--pause SECONDS] [--years N]

Prints the time, that of the processor for each ticker, and the memory after a tenth of the tickers and at the end.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from pm.settings import Keys, RefreshSettings, load_settings
from pm.sources import Answer, Ask
from pm.sources.vendors import vendor
from tests.vendor_servers import Listing, YahooServer

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


class OneForAll(YahooServer):
    """A server that has the same bars for any symbol."""

    def __init__(self, share: Listing, pause: float) -> None:
        super().__init__()
        self.share = share
        self.pause = pause

    def listing(self, symbol: str) -> Listing:
        """Return the share under the symbol asked for."""
        share = self.share
        return Listing(symbol, share.bars, share.splits, share.dividends)


def serve(pipe: Connection, first: date, last: date, pause: float) -> None:
    """Serve until the pipe says that it is enough."""
    share = Listing.made("ANY", first=first, last=last, splits={first + timedelta(days=40): (4, 1)})
    with OneForAll(share, pause) as server:
        pipe.send(server.url)
        pipe.recv()


def measure(tickers: int, pause: float, years: int) -> None:
    """Fetch all tickers, and print the figures."""
    last = datetime.now(UTC).date() - timedelta(days=1)
    first = last - timedelta(days=365 * years) if years else last - timedelta(days=14)
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, first, last, pause))
    server.start()
    url = ours.recv()
    values = load_settings().refresh.model_dump()
    values |= {"base_urls": {"yahoo": url}, "requests_per_minute": {"yahoo": 1_000_000}}
    asks = [Ask(f"T{number}", f"T{number}", None if years else first, last) for number in range(tickers)]
    process = psutil.Process()
    with tempfile.TemporaryDirectory() as folder:
        source = vendor("yahoo", RefreshSettings.model_validate(values), Keys(), Path(folder))
        list(source.fetch(asks[:1]))  # imports yfinance
        began, used = time.perf_counter(), sum(process.cpu_times()[:2])
        early, bars = 0, 0
        for done, found in enumerate(source.fetch(asks), start=1):
            assert isinstance(found, Answer), found  # noqa: S101 - a benchmark of failures is none
            bars += found.bars.height
            if done == max(1, tickers // 10):
                early = process.memory_info().rss
        seconds, used = time.perf_counter() - began, sum(process.cpu_times()[:2]) - used
        late = process.memory_info().rss
    ours.send(None)
    server.join()
    print(f"{tickers:,} tickers, {bars:,} bars, {pause * 1000:.0f} ms a reply: {seconds:.1f} s")
    print(f"processor: {used / tickers * 1000:.1f} ms a ticker")
    print(f"memory: {early / 2**20:.0f} MiB after a tenth, {late / 2**20:.0f} MiB at the end")


def main() -> None:
    """Read the options, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickers", type=int, default=2_000)
    parser.add_argument("--pause", type=float, default=0.05)
    parser.add_argument("--years", type=int, default=0, help="years of history; 0 for two weeks")
    options = parser.parse_args()
    measure(options.tickers, options.pause, options.years)


if __name__ == "__main__":
    main()
