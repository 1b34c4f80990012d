"""Judge the state of the system from what its tables hold: each check has a rule, and shows it with the result."""

from pm.monitor.finding import Finding, worst

__all__ = ["Finding", "worst"]
