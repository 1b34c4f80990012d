"""Whether any of it is any good: simulated portfolios, trials, and what their results prove."""
