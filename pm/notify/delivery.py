"""Send what is planned, each message once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.notify.channels import NotDelivered, channels_of, send
from pm.notify.outbox import State

if TYPE_CHECKING:
    from pm.notify.outbox import Entry, Outbox
    from pm.settings import Keys, NotifySettings

__all__ = ["Delivery", "deliver"]


@dataclass(frozen=True)
class Delivery:
    """An attempt to send a message, and what it met; None if it was sent."""

    entry: Entry
    problem: str | None


def deliver(outbox: Outbox, settings: NotifySettings, keys: Keys) -> list[Delivery]:
    """Send every planned message on a channel that is set up, and return what became of each.

    A message is taken before it is sent. If the process is ended in between, it stays `sending` and is not sent again,
    since it may have arrived. One that is refused is planned again until it has had `notify.attempts`.
    """
    done = []
    channels = channels_of(settings, keys)
    for entry in outbox.planned():
        if entry.channel not in channels or not outbox.claim(entry):
            continue
        try:
            send(entry, settings, keys)
        except NotDelivered as problem:
            last = entry.attempts + 1 >= settings.attempts
            outbox.settle(entry, State.FAILED if last else State.PLANNED, str(problem))
            done.append(Delivery(entry, str(problem)))
        else:
            outbox.settle(entry, State.SENT)
            done.append(Delivery(entry, None))
    return done
