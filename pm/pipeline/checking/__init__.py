"""Parts of the stage `check`: which source a ticker's bars come from, and what its new rows change."""
