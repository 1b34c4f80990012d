"""Settings of config/broker.yml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pm.settings.base import Count, Days, Section, Share

__all__ = ["BrokerSettings"]

_Amount = Annotated[float, Field(ge=0, le=1e12)]
_Cost = Annotated[Share, Field(ge=0, lt=1)]
_Seconds = Annotated[float, Field(gt=0, le=3600)]
_Address = Annotated[str, Field(pattern=r"^(https://[^\s/]|http://(127\.0\.0\.1|localhost)([:/]|$))")]
"""Address of a service: encrypted, since it is sent a key, unless it is on this machine."""
_Port = Annotated[int, Field(ge=1, le=65_535)]


class BrokerSettings(Section):
    """Settings of orders, simulated fills, brokers and halts; config/broker.yml describes each key."""

    plan: bool
    allow_short: bool
    planned_days: Count
    brackets: bool
    half_spread: _Cost
    slippage: _Cost
    impact: Annotated[float, Field(ge=0, le=100)]
    commission_per_share: _Amount
    commission_rate: _Cost
    commission_minimum: _Amount
    max_volume: Annotated[Share, Field(gt=0, le=1)]
    fill_without_volume: bool
    fill_at_close: bool
    halt_stale_days: Days
    halt_rejects: Count
    halt_clock_seconds: _Seconds
    cash_tolerance: _Amount
    dividend_days: Days
    timeout_seconds: _Seconds
    settle_seconds: Annotated[float, Field(ge=0, le=86_400)]
    alpaca_paper_url: _Address
    alpaca_live_url: _Address
    ib_host: Annotated[str, Field(min_length=1)]
    ib_port: _Port
    ib_client: Annotated[int, Field(ge=0, le=1_000_000)]
    live: bool
    paper_nights: Count
