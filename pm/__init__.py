"""Portfolio Maximizer: from daily bars to forecasts, signals and a report, traceable by SQL."""

__version__ = "0.1.0"
