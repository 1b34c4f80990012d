"""A portfolio: weights from joint scenarios within limits, tilted towards discovered edges, and shares to hold."""
