"""The words in which a verdict is shown."""

from __future__ import annotations

from pm.tables.vocabulary import Proof

__all__ = ["PROOF_WORDS"]

PROOF_WORDS = {
    Proof.PROVEN.value: "proven",
    Proof.NOT_PROVEN.value: "not proven",
    Proof.WORSE.value: "worse than benchmark",
}
"""Words that are shown for a verdict."""
