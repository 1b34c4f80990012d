"""Declare the tables of the risk of portfolios."""

from __future__ import annotations

from pm.tables.declaration import DATE, INTEGER, REAL, STAMP, TEXT, Column, Table

__all__ = [
    "EXPOSURES",
    "FACTOR_RETURNS",
    "LIMIT_EVENTS",
    "MODEL_PORTFOLIO",
    "PORTFOLIO_RISK",
    "RISK_CONTRIBUTIONS",
    "STAGES_WITH_LIMITS",
    "STRESS_RESULTS",
    "proposed",
]

_PORTFOLIO = Column(
    "portfolio",
    TEXT,
    "Portfolio: the name of an account for what it holds, 'model' for equal weights where there is no account, and "
    "either followed by ' proposed' for the targets of the run.",
)


STAGES_WITH_LIMITS = ("risk", "portfolio")
"""Stages of a run that write limit events."""
MODEL_PORTFOLIO = "model"
"""Name of the portfolio that is computed where there is no account."""


def proposed(portfolio: str) -> str:
    """Return the name that the targets of a portfolio have in the tables of risk."""
    return f"{portfolio} proposed"


_HORIZON = Column("horizon", INTEGER, "Number of sessions from the origin date.")
_LEVEL = Column("level", REAL, "Probability of a loss up to the value at risk: 0.99 for the worst 1%.")
_ORIGIN = Column("origin_date", DATE, "Date of the last bar used.")

PORTFOLIO_RISK = Table(
    "main",
    "portfolio_risk",
    "Value at risk and expected shortfall of a portfolio, as shares of its value; a loss is positive.",
    ("run_id", "cutoff", "portfolio", "method", "horizon", "level"),
    (
        _PORTFOLIO,
        _HORIZON,
        _LEVEL,
        Column("method", TEXT, "Method of the computation; see docs/vocabulary.md."),
        _ORIGIN,
        Column("var", REAL, "Value at risk: the smallest loss that is not exceeded with the probability `level`."),
        Column("es", REAL, "Expected shortfall: the mean loss in the worst 1 − level of the cases."),
        Column(
            "se_var",
            REAL,
            "Standard error of var from the number of scenarios, if they were independent; null for benchmarks.",
        ),
        Column("se_es", REAL, "Standard error of es from the number of scenarios; null for benchmarks."),
        Column("seed", INTEGER, "Seed of the draws; null where nothing is drawn."),
        Column("scenarios", INTEGER, "Number of scenarios: dates for 1 session, paths for more."),
        *STAMP,
    ),
)

RISK_CONTRIBUTIONS = Table(
    "main",
    "risk_contributions",
    "What a ticker adds to the expected shortfall of a portfolio. Over a portfolio, component_es sums to es.",
    ("run_id", "cutoff", "portfolio", "ticker", "horizon", "level"),
    (
        _PORTFOLIO,
        Column("ticker", TEXT, "Ticker."),
        _HORIZON,
        _LEVEL,
        _ORIGIN,
        Column("weight", REAL, "Value of the position as a share of the portfolio's value; negative if short."),
        Column("component_es", REAL, "Part of the portfolio's expected shortfall that is due to the ticker."),
        Column("share", REAL, "component_es as a share of the portfolio's es; null if that is not positive."),
        Column("standalone_es", REAL, "Expected shortfall of the position alone, as a share of the portfolio's value."),
        *STAMP,
    ),
)

STRESS_RESULTS = Table(
    "main",
    "stress_results",
    "Return of a portfolio in a stress test: of today's weights, without trading.",
    ("run_id", "cutoff", "portfolio", "kind", "scenario", "sessions"),
    (
        _PORTFOLIO,
        Column("kind", TEXT, "Assumption; see docs/vocabulary.md."),
        Column("scenario", TEXT, "Name of the scenario."),
        Column("sessions", INTEGER, "Number of sessions that it takes."),
        Column("portfolio_return", REAL, "Simple return of the portfolio; negative for a loss."),
        Column(
            "covered",
            REAL,
            "Share of the gross weight in tickers whose return is known; the others are taken not to move.",
        ),
        Column("start_date", DATE, "First session; null for a shock that is no period."),
        Column("end_date", DATE, "Last session; null for a shock that is no period."),
        *STAMP,
    ),
)

FACTOR_RETURNS = Table(
    "main",
    "factor_returns",
    "Return or value of a factor: principal components of the residuals, or published monthly factors.",
    ("run_id", "cutoff", "source", "factor", "date"),
    (
        Column("source", TEXT, "'principal' (components of the tickers' residuals), or 'published'."),
        Column("factor", TEXT, "Name of the factor: pc1, pc2, …, or that of the file, such as Mkt-RF."),
        Column("date", DATE, "Session of a principal component; first day of the month of a published factor."),
        Column("value", REAL, "Value of a component, of variance 1; simple return of a published factor (0.02 is 2%)."),
        *STAMP,
    ),
)

EXPOSURES = Table(
    "main",
    "exposures",
    "How much a ticker or a portfolio moves with a factor, from a regression on all factors of the source.",
    ("run_id", "cutoff", "source", "entity", "factor"),
    (
        Column("source", TEXT, "Source of the factors: 'principal' or 'published'; see factor_returns."),
        Column("entity", TEXT, "Ticker, or 'portfolio ' and the name of a portfolio."),
        Column("factor", TEXT, "Name of the factor."),
        Column("beta", REAL, "Return for a value of the factor that is larger by 1."),
        Column("se", REAL, "Newey-West standard error of beta."),
        Column("variance_share", REAL, "Share of the variance of the return that is due to the factor."),
        Column("specific_share", REAL, "Share of the variance of the return that no factor explains."),
        Column("observations", INTEGER, "Number of returns: sessions, or months for published factors."),
        *STAMP,
    ),
)

LIMIT_EVENTS = Table(
    "main",
    "limit_events",
    "A limit whose value was beyond its bound or not known, and what was done.",
    ("run_id", "cutoff", "portfolio", "limit_name", "subject"),
    (
        _PORTFOLIO,
        Column("limit_name", TEXT, "Quantity that the limit bounds; see docs/vocabulary.md."),
        Column("subject", TEXT, "Ticker or group that it is about; 'portfolio' for the whole."),
        Column("value", REAL, "Value found; null if it could not be computed."),
        Column("bound", REAL, "Largest value that is allowed; from the settings."),
        Column("action", TEXT, "What was done; see docs/vocabulary.md."),
        Column("value_after", REAL, "Value afterwards; null if it could not be computed."),
        Column("detail", TEXT, "What happened, in a sentence."),
        *STAMP,
    ),
)
