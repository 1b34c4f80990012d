"""Random generators that give the same numbers in every process."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

__all__ = ["ticker_generator"]


def ticker_generator(seed: int, ticker: str) -> np.random.Generator:
    """Return a random generator that depends only on a seed and the name of a ticker.

    A ticker therefore gets the same random numbers in every process and whatever other tickers there are. (Python's
    own `hash` of a string differs between processes.)
    """
    digest = blake2b(f"{seed}:{ticker}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest)))
