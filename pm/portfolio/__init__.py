"""A portfolio: weights from joint scenarios within limits, tilted towards discovered edges, and what to hold of each."""
