"""Brokers: what a broker is asked and tells, simulated fills, plans of orders, and what stops trading."""
