"""What can go wrong when a vendor is asked, as errors that become a `Failure`.

::

    VendorError
    ├── GoneError                 the vendor does not know the symbol, or has no bars of it any more
    │   └── NoBarsError           it has none of the days that were asked for
    ├── NotPermittedError         the key does not permit the data
    │   └── KeyRefusedError       the vendor refuses the key itself: nothing else is asked
    ├── LimitedError              the vendor asks to wait
    │   └── BudgetSpentError      the requests of the day are spent: nothing else is asked
    ├── UnreachableError          no connection, a time-out, an error of the server
    │   └── CertificateError      the certificate cannot be trusted
    ├── InvalidReplyError         the reply cannot be used
    │   ├── CutReplyError         it is cut off, or of another type, as while a server is being changed
    │   └── RefusedError          the vendor does not take the request for this one ticker
    ├── OtherSymbolError          the reply is about another symbol
    └── NotAskedError             it was not asked: it had failed too often
        └── StoppedError          the refresh has ended
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pm.tables.vocabulary import FailureReason

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "BudgetSpentError",
    "CertificateError",
    "CutReplyError",
    "GoneError",
    "InvalidReplyError",
    "KeyRefusedError",
    "LimitedError",
    "NoBarsError",
    "NotAskedError",
    "NotPermittedError",
    "OtherSymbolError",
    "RefusedError",
    "StoppedError",
    "UnreachableError",
    "VendorError",
]


class VendorError(Exception):
    """A vendor gave nothing for a ticker.

    Parameters
    ----------
    detail
        One sentence for the user, without keys.
    retry_after
        Time in UTC, without a zone, before which the vendor must not be asked again; None if it may be at any time.

    Attributes
    ----------
    reason
        Kind of the failure, as table `fetches` stores it.
    is_transient
        Whether the same request may succeed some seconds later.
    is_vendors
        Whether the vendor as a whole is at fault, and not the ticker: such errors open its circuit breaker.
    ends
        Whether every other request would fail likewise: such an error opens the breaker at once.
    """

    reason: ClassVar[FailureReason] = FailureReason.INVALID_REPLY
    is_transient: ClassVar[bool] = False
    is_vendors: ClassVar[bool] = False
    ends: ClassVar[bool] = False

    def __init__(self, detail: str, *, retry_after: datetime | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after


class GoneError(VendorError):
    """The vendor does not know the symbol, or has no bars of it any more."""

    reason = FailureReason.GONE


class NoBarsError(GoneError):
    """The vendor has no bars of the days that were asked for, which may be days without a session."""


class NotPermittedError(VendorError):
    """The key does not permit the data."""

    reason = FailureReason.NOT_PERMITTED


class KeyRefusedError(NotPermittedError):
    """The vendor refuses the key itself."""

    is_vendors = True
    ends = True


class LimitedError(VendorError):
    """The vendor asks to wait."""

    reason = FailureReason.LIMITED
    is_transient = True
    is_vendors = True


class BudgetSpentError(LimitedError):
    """The requests of the day are spent, or the vendor asks to wait longer than the refresh can."""

    is_transient = False
    ends = True


class UnreachableError(VendorError):
    """There is no connection, no reply in time, or the server has an error."""

    reason = FailureReason.UNREACHABLE
    is_transient = True
    is_vendors = True


class CertificateError(UnreachableError):
    """The server's certificate cannot be trusted."""

    is_transient = False


class InvalidReplyError(VendorError):
    """The reply cannot be used."""

    is_vendors = True


class CutReplyError(InvalidReplyError):
    """The reply is cut off, or of another type, as while a server is being changed."""

    is_transient = True


class RefusedError(InvalidReplyError):
    """The vendor does not take the request for this one ticker."""

    is_vendors = False


class OtherSymbolError(VendorError):
    """The reply is about another symbol than the one asked for."""

    reason = FailureReason.OTHER_SYMBOL


class NotAskedError(VendorError):
    """The vendor was not asked."""

    reason = FailureReason.NOT_ASKED


class StoppedError(NotAskedError):
    """The refresh has ended."""
