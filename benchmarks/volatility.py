"""The volatility kernel beside `arch`, and whether its intervals hold: `python benchmarks/volatility.py`.

On windows of 1,000 returns of real series, prints for each model how many times faster the kernel is than `arch` on the
same core (median over batches of ten windows, fitted by one and the other in alternating order, processor time), and on
what share its log-likelihood is at least arch's less 0.001. On simulated GARCH with Student t shocks, prints how often
95% intervals held the return that came, at each step. With `--egarch`, prints instead how `arch`'s EGARCH does out of
sample beside its GJR.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files
from importlib.util import find_spec
from time import process_time
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from pm.settings import load_settings
from pm.volatility import fit_volatility
from pm.volatility.base import FloatArray, VolatilityEstimate
from pm.volatility.garch import GARCH_MODELS, PERCENT, GarchModel

if TYPE_CHECKING:
    from collections.abc import Iterator

WINDOW = 1000
BATCH = 10
EQUAL = 1e-3


def real_series() -> dict[str, FloatArray]:
    """Give log returns of the sample, of arch's indices, and of skfolio's 20 tickers where it is installed."""
    from arch.data import nasdaq, sp500

    sample = pl.read_csv((files("bokeh_sampledata") / "_data" / "stocks.csv.gz").read_bytes(), try_parse_dates=True)
    prices: dict[str, FloatArray] = {
        str(ticker): rows.sort("Date")["Adj Close"].to_numpy()
        for (ticker,), rows in sample.partition_by("Ticker", as_dict=True).items()
    }
    for name, index in (("SP500", sp500), ("NASDAQ", nasdaq)):
        prices[name] = index.load()["Adj Close"].to_numpy(dtype=np.float64)
    if find_spec("skfolio"):
        from skfolio.datasets import load_sp500_dataset

        closes = load_sp500_dataset()
        prices |= {f"{ticker} (skfolio)": closes[ticker].dropna().to_numpy() for ticker in closes.columns}
    return {name: np.diff(np.log(levels)) for name, levels in prices.items()}


def windows(series: dict[str, FloatArray], step: int = 700) -> list[FloatArray]:
    """Cut every series, from its end backwards, into windows that begin `step` returns apart."""
    return [
        np.ascontiguousarray(values[end - WINDOW : end])
        for values in series.values()
        for end in range(len(values), WINDOW - 1, -step)
    ]


def by_arch(returns: FloatArray, model: GarchModel, volatility: str = "GARCH") -> Any:  # noqa: ANN401 - untyped there
    """Fit by `arch`, without its warnings."""
    from arch import arch_model

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return arch_model(
            returns * PERCENT,
            mean="Constant",
            vol=volatility,  # type: ignore[arg-type]
            o=int(model.leverage),
            dist="t" if model.student else "normal",
            rescale=False,
        ).fit(disp="off", show_warning=False)


@dataclass(frozen=True)
class Comparison:
    """A model by the kernel beside `arch`."""

    ratio: float
    milliseconds: float
    equal: int
    served: int
    worst: float


def compare(model: GarchModel, cuts: list[FloatArray]) -> Comparison:
    """Fit every window both ways."""
    model.fit({0: cuts[0]})  # compiled before the clock starts
    ratios, spent, gaps, served = [], [], [], 0
    for first in range(0, len(cuts), BATCH):
        batch = dict(enumerate(cuts[first : first + BATCH]))
        seconds, ours, theirs = {}, {}, {}
        for who in ("kernel", "arch") if first // BATCH % 2 else ("arch", "kernel"):
            start = process_time()
            if who == "kernel":
                ours = model.fit(batch)
            else:
                theirs = {place: by_arch(values, model) for place, values in batch.items()}
            seconds[who] = process_time() - start
        ratios.append(seconds["arch"] / seconds["kernel"])
        spent.append(seconds["kernel"] / len(batch))
        for place, outcome in ours.items():
            if isinstance(outcome, VolatilityEstimate):
                served += 1
                assert outcome.log_likelihood is not None  # noqa: S101 - of every GARCH fit
                gaps.append(outcome.log_likelihood - float(theirs[place].loglikelihood))
    return Comparison(
        float(np.median(ratios)),
        1000 * float(np.median(spent)),
        sum(gap >= -EQUAL for gap in gaps),
        served,
        min(gaps),
    )


def simulated_garch_t(count: int, length: int, seed: int = 5) -> FloatArray:
    """Give GARCH(1,1) returns with Student t shocks of 6 degrees of freedom, 1.3% a day; shape (count, length)."""
    rng = np.random.default_rng(seed)
    omega, alpha, beta, nu = 3.4e-6, 0.07, 0.91, 6.0
    variance = np.full(count, omega / (1 - alpha - beta))
    warm_up = 500
    returns = np.empty((count, warm_up + length))
    for t in range(warm_up + length):
        returns[:, t] = np.sqrt(variance) * rng.standard_t(nu, count) * np.sqrt((nu - 2) / nu)
        variance = omega + alpha * returns[:, t] ** 2 + beta * variance
    return returns[:, warm_up:]


def coverage(count: int, horizon: int, known: int) -> FloatArray:
    """Give the share of simulated series whose return up to each step was inside its 95% interval."""
    returns = simulated_garch_t(count, known + horizon)
    days = [date(2000, 1, 1) + timedelta(days=day) for day in range(known)]
    inside = np.zeros(horizon)
    for part in _chunks(returns, 50):
        frame = pl.concat(
            pl.DataFrame({"ticker": f"T{place:05d}", "date": days, "log_return": own[:known]})
            for place, own in part.items()
        )
        paths = fit_volatility(frame, settings=load_settings().volatility, horizon=horizon).paths
        for (ticker,), rows in paths.partition_by("ticker", as_dict=True).items():
            came = np.cumsum(part[int(str(ticker)[1:])][known:])
            inside += (rows["r025"].to_numpy() <= came) & (came <= rows["r975"].to_numpy())
    return inside / count


def _chunks(returns: FloatArray, size: int) -> Iterator[dict[int, FloatArray]]:
    for first in range(0, len(returns), size):
        yield dict(enumerate(returns[first : first + size], start=first))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulated", type=int, default=2000, help="series whose coverage is counted")
    parser.add_argument("--horizon", type=int, default=30)
    parser.add_argument("--egarch", action="store_true", help="compare EGARCH with GJR out of sample instead")
    chosen = parser.parse_args()
    series = real_series()
    with threadpool_limits(1):
        cuts = windows(series)
        print(f"{len(cuts)} windows of {WINDOW:,} returns from {len(series)} series")
        print("model    × arch   ms a fit   log-likelihood equal or better   worst gap")
        for name, model in GARCH_MODELS.items():
            found = compare(model, cuts)
            print(
                f"{name:8} {found.ratio:6.0f} {found.milliseconds:10.2f}   "
                f"{found.equal:,} of {found.served:,} ({found.equal / found.served:.1%}){found.worst:20.4f}"
            )
        if not chosen.simulated:
            return
        held = coverage(chosen.simulated, chosen.horizon, known=1500)
        print(
            f"\n95% intervals on {chosen.simulated:,} simulated series (standard error {_error(chosen.simulated):.4f})"
        )
        print(" ".join(f"{step}:{share:.3f}" for step, share in enumerate(held, start=1)))
        print(f"lowest {held.min():.3f}, highest {held.max():.3f}")


def _error(count: int) -> float:
    return float((0.95 * 0.05 / count) ** 0.5)


if __name__ == "__main__":
    main()
