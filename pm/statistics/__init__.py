"""Statistics without any notion of markets: errors and scores of forecasts, tests of accuracy, the bootstrap."""
