"""Settings of config/notify.yml."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from pm.settings.base import Count, Section

__all__ = ["NotifySettings", "Occasion", "Security"]

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_Address = Annotated[str, Field(pattern=r"^[^\s@<>,;:\"]+@[^\s@<>,;:\"]+$", max_length=254)]


class Occasion(StrEnum):
    """Nights that are told."""

    NEVER = "never"
    FAILURES = "failures"
    CHANGES = "changes"
    ALWAYS = "always"


class Security(StrEnum):
    """How the connection to the mail server is encrypted."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class NotifySettings(Section):
    """Settings of messages about nights; config/notify.yml describes each key."""

    when: Occasion
    mail_to: list[_Address]
    mail_from: Annotated[str, Field(max_length=254)]
    mail_server: Annotated[str, Field(pattern=r"^[^\s/@]*$", max_length=253)]
    mail_port: Annotated[int, Field(ge=1, le=65_535)]
    mail_security: Security
    mail_user: str
    timeout_seconds: Annotated[float, Field(gt=0, le=600)]
    attempts: Count

    @model_validator(mode="after")
    def _mail_is_complete(self) -> Self:
        if not self.mail_to:
            return self
        if not self.mail_server or "@" not in self.mail_from:
            raise ValueError("mail_to needs mail_from, an address, and mail_server too")
        if self.mail_security is Security.NONE and self.mail_server not in _LOCAL:
            raise ValueError("mail_security can be none only for a server on this machine")
        return self
