"""Compare GARCH fits with `arch`, and check the coverage of intervals: `python benchmarks/volatility.py`.

On windows of 1,000 returns of real series, prints for each model how many times faster than `arch` it is fitted on the
same core (median over batches of ten windows, fitted by both in alternating order, processor time), and the share of
windows on which its log-likelihood is at least that of `arch` less 0.001 (a window on which it does not converge counts
as lower). On simulated GARCH with Student t shocks, prints the coverage of 95% intervals at each step.

With `--egarch`, compares instead `arch`'s EGARCH(1,1,1) with its GJR(1,1,1) out of sample, both with Student t shocks:
each is fitted to 1,000 returns, forecasts one day ahead for 60 sessions with fixed parameters, and is fitted again.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from datetime import date, timedelta
from time import process_time
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from markets import known, levels
from threadpoolctl import threadpool_limits

from pm.settings import load_settings
from pm.volatility import fit_volatility
from pm.volatility.estimation import CONVERGED, fit_batch
from pm.volatility.garch import GARCH_MODELS, PERCENT, GarchModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pm.typing import FloatArray

WINDOW = 1000
"""Number of returns of a window."""
BATCH = 10
"""Number of windows that are timed together."""
EQUAL = 1e-3
"""Difference below which two log-likelihoods count as equal."""


def real_series() -> dict[str, FloatArray]:
    """Return log returns of the sample, of arch's indices, and of skfolio's 20 tickers where it is installed."""
    return {
        f"{ticker} of {market}": np.diff(np.log(prices))
        for market, own in levels(known()).items()
        for ticker, prices in own.items()
    }


def windows(series: dict[str, FloatArray], step: int = 700) -> list[FloatArray]:
    """Return windows of every series that begin `step` returns apart, counted from its end."""
    return [
        np.ascontiguousarray(values[end - WINDOW : end])
        for values in series.values()
        for end in range(len(values), WINDOW - 1, -step)
    ]


def by_arch(returns: FloatArray, model: GarchModel, volatility: str = "GARCH", known: int | None = None) -> Any:  # noqa: ANN401 - untyped there
    """Fit a model by `arch`, without its warnings, to the first `known` returns."""
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
        ).fit(disp="off", show_warning=False, last_obs=known)


@dataclass(frozen=True)
class Comparison:
    """A model's fits compared with those of `arch`.

    Attributes
    ----------
    ratio
        Median ratio of arch's processor time to ours.
    milliseconds
        Median milliseconds per fit.
    equal
        Number of windows on which our log-likelihood is equal or higher.
    windows
        Number of windows.
    worst
        The three smallest differences of our log-likelihood from that of `arch`.
    """

    ratio: float
    milliseconds: float
    equal: int
    windows: int
    worst: list[float]


def compare(model: GarchModel, cuts: list[FloatArray]) -> Comparison:
    """Fit every window by our code and by `arch`."""
    model.fit({0: cuts[0]})  # compiles before the time is measured
    ratios, spent, gaps = [], [], []
    for first in range(0, len(cuts), BATCH):
        batch = dict(enumerate(cuts[first : first + BATCH], start=first))
        seconds, theirs = {}, {}
        for code in ("ours", "arch") if first // BATCH % 2 else ("arch", "ours"):
            start = process_time()
            if code == "ours":
                model.fit(batch)
            else:
                theirs = {place: by_arch(values, model) for place, values in batch.items()}
            seconds[code] = process_time() - start
        ratios.append(seconds["arch"] / seconds["ours"])
        spent.append(seconds["ours"] / len(batch))
        begins = WINDOW * np.arange(len(batch) + 1)
        _, statuses, reached = fit_batch(np.concatenate([*batch.values()]), begins, model.leverage, model.student)
        for place, status, likelihood in zip(batch, statuses, reached, strict=True):
            in_percent = likelihood - WINDOW * np.log(PERCENT)
            ours = in_percent if status == CONVERGED else -np.inf
            gaps.append(ours - float(theirs[place].loglikelihood))
    return Comparison(
        float(np.median(ratios)),
        1000 * float(np.median(spent)),
        sum(gap >= -EQUAL for gap in gaps),
        len(gaps),
        sorted(gaps)[:3],
    )


def simulated_garch_t(count: int, length: int, seed: int = 5) -> FloatArray:
    """Simulate GARCH(1,1) returns with Student t shocks of 6 degrees of freedom, 1.3% a day; shape (count, length)."""
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
    """Return the coverage of 95% intervals at each step: the share of simulated returns inside them."""
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
            outcome = np.cumsum(part[int(str(ticker)[1:])][known:])
            inside += (rows["r025"].to_numpy() <= outcome) & (outcome <= rows["r975"].to_numpy())
    return inside / count


REFIT = 60
"""Sessions that are forecast with the same parameters."""


def one_day_losses(returns: FloatArray, volatility: str) -> tuple[FloatArray, FloatArray]:
    """Return QLIKE (of squared returns) and the negative log-density of each return after the first 1,000.

    Both are NaN where the fit did not converge.
    """
    from scipy.stats import t as student_t

    model = GARCH_MODELS["gjr_t"]
    qlike, score = [], []
    for cut in range(WINDOW, len(returns) - REFIT + 1, REFIT):
        percent = returns[cut - WINDOW : cut + REFIT] * PERCENT
        fitted = by_arch(percent / PERCENT, model, volatility, known=WINDOW)
        variance = fitted.forecast(horizon=1, start=WINDOW - 1, reindex=False).variance.to_numpy()[:REFIT, 0]
        shocks, nu = percent[WINDOW:] - fitted.params["mu"], fitted.params["nu"]
        converged = np.where(fitted.convergence_flag == 0, 1.0, np.nan)
        qlike.append(converged * (shocks**2 / variance + np.log(variance)))
        score.append(-converged * student_t.logpdf(shocks, nu, scale=np.sqrt(variance * (nu - 2) / nu)))
    return np.concatenate(qlike), np.concatenate(score)


def mean_and_t(difference: FloatArray, lags: int = 10) -> tuple[float, float]:
    """Return the mean and its t statistic, with the standard error of Newey and West."""
    centred = difference - difference.mean()
    count = len(centred)
    variance = centred @ centred / count
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * (centred[lag:] @ centred[:-lag]) / count
    return float(difference.mean()), float(difference.mean() / (variance / count) ** 0.5)


def egarch(series: dict[str, FloatArray]) -> None:
    """Print the losses of EGARCH less those of GJR for each series: negative where EGARCH is better."""
    print("EGARCH less GJR, one day ahead     QLIKE      t   log score      t   days")
    better = []
    for name, returns in series.items():
        if len(returns) < WINDOW + 10 * REFIT:
            continue
        newest = returns[-(WINDOW + 40 * REFIT) :]
        egarch_losses, gjr_losses = one_day_losses(newest, "EGARCH"), one_day_losses(newest, "GARCH")
        usable = np.isfinite(egarch_losses[0]) & np.isfinite(gjr_losses[0])
        found = [mean_and_t((a - b)[usable]) for a, b in zip(egarch_losses, gjr_losses, strict=True)]
        better.append([mean for mean, _ in found])
        (qlike, t_qlike), (score, t_score) = found
        print(f"{name:30} {qlike:9.4f} {t_qlike:6.2f} {score:11.4f} {t_score:6.2f} {usable.sum():6,}")
    means = np.array(better)
    wins = (means < 0).sum(axis=0)
    average, median = means.mean(axis=0).round(4), np.median(means, axis=0).round(4)
    print(f"mean {average}, median {median}, EGARCH better on {wins} of {len(means)} series")


def _chunks(returns: FloatArray, size: int) -> Iterator[dict[int, FloatArray]]:
    for first in range(0, len(returns), size):
        yield dict(enumerate(returns[first : first + size], start=first))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--simulated", type=int, default=2000, help="number of simulated series whose coverage is measured"
    )
    parser.add_argument("--horizon", type=int, default=30, help="number of steps of the simulated series")
    parser.add_argument("--egarch", action="store_true", help="compare EGARCH with GJR out of sample instead")
    arguments = parser.parse_args()
    series = real_series()
    with threadpool_limits(1):
        if arguments.egarch:
            egarch(series)
            return
        cuts = windows(series)
        print(f"{len(cuts)} windows of {WINDOW:,} returns from {len(series)} series")
        print("model    × arch   ms per fit   log-likelihood equal or better   smallest differences")
        for name, model in GARCH_MODELS.items():
            found = compare(model, cuts)
            print(
                f"{name:8} {found.ratio:6.0f} {found.milliseconds:12.2f}   "
                f"{found.equal:,} of {found.windows:,} ({found.equal / found.windows:.1%})            "
                + " ".join(f"{gap:9.4f}" for gap in found.worst)
            )
        if not arguments.simulated:
            return
        shares = coverage(arguments.simulated, arguments.horizon, known=1500)
        error = _standard_error(arguments.simulated)
        print(f"\nCoverage of 95% intervals on {arguments.simulated:,} simulated series (standard error {error:.4f})")
        print(" ".join(f"{step}:{share:.3f}" for step, share in enumerate(shares, start=1)))
        print(f"lowest {shares.min():.3f}, highest {shares.max():.3f}")


def _standard_error(count: int) -> float:
    return float((0.95 * 0.05 / count) ** 0.5)


if __name__ == "__main__":
    main()
