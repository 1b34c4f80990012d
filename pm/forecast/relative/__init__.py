"""One model of all tickers' returns relative to each other, from table `features`.

`cross_section` standardises features and returns on each date, and `model` fits and tests the regression.
"""
