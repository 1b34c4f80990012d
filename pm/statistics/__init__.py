"""Statistics that know nothing of markets: errors and scores of forecasts, tests of accuracy, the bootstrap."""
