"""Joint risk of a portfolio: scenarios of all tickers on the same dates, their value at risk, and limits that act."""
