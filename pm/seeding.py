"""Random generators that are the same in every process."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

__all__ = ["ticker_generator"]


def ticker_generator(seed: int, ticker: str) -> np.random.Generator:
    """Give a generator that depends on the seed and the ticker's name alone.

    The same in every process and whatever else is simulated before it (Python's own hash of a string is neither).
    """
    digest = blake2b(f"{seed}:{ticker}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest)))
