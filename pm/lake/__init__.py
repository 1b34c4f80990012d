"""The lake: daily bars and everything derived from them, in DuckLake. The only code that knows DuckLake."""
