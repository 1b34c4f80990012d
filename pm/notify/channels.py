"""Send a message by mail, to a webhook, or to ntfy. No error names an address or a password."""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pm.errors import SettingsError
from pm.settings.notify import Security

if TYPE_CHECKING:
    from pydantic import SecretStr

    from pm.notify.outbox import Entry
    from pm.settings import Keys, NotifySettings

__all__ = ["NotDelivered", "channels_of", "send"]

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})

_ALL_GOOD = 2
"""First digit of an HTTP status that says that all went well."""


class NotDelivered(Exception):  # noqa: N818 - says what is so
    """A message was not delivered, for certain: it can be sent again."""


def channels_of(settings: NotifySettings, keys: Keys) -> tuple[str, ...]:
    """Return the ways of messages that are set up: 'mail', 'webhook', 'ntfy'.

    Raises
    ------
    SettingsError
        An address is no address, or is not encrypted although it is not of this machine.
    """
    for name, key in (("webhook_url", keys.webhook_url), ("ntfy_url", keys.ntfy_url)):
        if key is not None:
            _refuse_address(name, key.get_secret_value())
    is_set = {
        "mail": bool(settings.mail_to),
        "webhook": keys.webhook_url is not None,
        "ntfy": keys.ntfy_url is not None,
    }
    return tuple(name for name, here in is_set.items() if here)


def _refuse_address(name: str, address: str) -> None:
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        host, parts = "", urlsplit("")
    if not host or parts.scheme not in {"http", "https"} or (parts.scheme == "http" and host not in _LOCAL):
        raise SettingsError(
            f"The address {name} does not begin with https://, or has no host.",
            where="keys.yml",
            hint="write it as https://HOST/PATH; http:// is allowed only for this machine",
        )


def send(entry: Entry, settings: NotifySettings, keys: Keys) -> None:
    """Send a message on its channel.

    Raises
    ------
    NotDelivered
        The server was not reached, or has refused it.
    """
    {"mail": _mail, "webhook": _webhook, "ntfy": _ntfy}[entry.channel](entry, settings, keys)


def _mail(entry: Entry, settings: NotifySettings, keys: Keys) -> None:
    mail = EmailMessage()
    mail["Subject"] = entry.subject
    mail["From"] = settings.mail_from
    mail["To"] = ", ".join(settings.mail_to)
    mail["Date"] = formatdate()
    # The key makes two mails of one message one message for the reader's program.
    mail["Message-ID"] = f"<{entry.key}@portfolio-maximizer>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(entry.body)
    server, port, seconds = settings.mail_server, settings.mail_port, settings.timeout_seconds
    context = ssl.create_default_context()
    try:
        if settings.mail_security is Security.TLS:
            connection: smtplib.SMTP = smtplib.SMTP_SSL(server, port, timeout=seconds, context=context)
        else:
            connection = smtplib.SMTP(server, port, timeout=seconds)
        with connection:
            if settings.mail_security is Security.STARTTLS:
                connection.starttls(context=context)
            if settings.mail_user:
                password = keys.mail.get_secret_value() if keys.mail is not None else ""
                connection.login(settings.mail_user, password)
            connection.send_message(mail)
    except smtplib.SMTPRecipientsRefused:
        raise NotDelivered("the mail server refuses the addresses of mail_to") from None
    except smtplib.SMTPAuthenticationError as error:
        raise NotDelivered(f"the mail server refuses mail_user and its password ({error.smtp_code})") from None
    except smtplib.SMTPResponseException as error:
        raise NotDelivered(f"the mail server answers {error.smtp_code}") from None
    except ssl.SSLCertVerificationError as error:
        raise NotDelivered(f"the mail server's certificate is not valid: {error.verify_message}") from None
    except (OSError, smtplib.SMTPException) as error:
        raise NotDelivered(f"the mail server cannot be used: {_reason(error)}") from None


def _webhook(entry: Entry, settings: NotifySettings, keys: Keys) -> None:
    key = keys.webhook_token
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key is not None else {}
    content = {"key": entry.key, "subject": entry.subject, "text": entry.body, "urgent": entry.urgent}
    _post(_address(keys.webhook_url), settings, headers | {"Idempotency-Key": entry.key}, json=content)


def _ntfy(entry: Entry, settings: NotifySettings, keys: Keys) -> None:
    key = keys.ntfy_token
    headers = {"Authorization": f"Bearer {key.get_secret_value()}"} if key is not None else {}
    address, _, topic = _address(keys.ntfy_url).rstrip("/").rpartition("/")
    content = {
        "topic": topic,
        "title": entry.subject,
        "message": entry.body,
        "priority": 4 if entry.urgent else 3,
        "tags": ["warning"] if entry.urgent else [],
    }
    _post(f"{address}/", settings, headers, json=content)


def _address(key: SecretStr | None) -> str:
    return key.get_secret_value() if key is not None else ""


def _post(url: str, settings: NotifySettings, headers: dict[str, str], *, json: object) -> None:
    import httpx

    try:
        # Redirects are not followed: they would hand the message, and a key, to an address that nobody chose.
        answer = httpx.post(url, json=json, headers=headers, timeout=settings.timeout_seconds, follow_redirects=False)
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
        raise NotDelivered(f"the server cannot be used: {type(error).__name__}") from None
    if answer.is_redirect:
        raise NotDelivered(f"the server answers {answer.status_code}, a redirect, which is not followed")
    if answer.status_code // 100 != _ALL_GOOD:
        raise NotDelivered(f"the server answers {answer.status_code}")


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
