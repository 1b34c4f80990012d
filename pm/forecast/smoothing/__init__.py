"""The compiled fits of exponential smoothing: `theta` and `ets`."""
