"""Settings of config/refresh.yml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from pm.settings.base import Count, Section, known_names

__all__ = ["VENDOR_NAMES", "RefreshSettings"]

VENDOR_NAMES = ("yahoo", "alpha_vantage", "finnhub", "alpaca", "tiingo")
"""Names of the vendors; pm.sources.vendors has the vendors."""

_Seconds = Annotated[float, Field(gt=0, le=3_600)]
_Rates = dict[str, Annotated[float, Field(gt=0, le=1_000_000)]]


class RefreshSettings(Section):
    """Settings of config/refresh.yml.

    Attributes
    ----------
    vendors
        Vendors by precedence.
    overlap_sessions
        Number of sessions before a ticker's last bar from which it is asked again.
    delay_minutes
        Minutes after an exchange's close before a bar is asked for.
    tickers_per_commit
        Largest number of tickers that land in one commit.
    gone_nights
        Nights in a row in which a vendor does not know a ticker before it counts as delisted.
    timeout_seconds, total_minutes
        Time to wait for a reply, and for the whole refresh.
    news_minutes
        Time for company news, after the bars are in; 0 for none.
    reply_mb
        Largest size of a reply, in MiB.
    concurrency
        Requests under way at a time, for each vendor.
    attempts
        Number of times a request is sent.
    first_wait_seconds, longest_wait_seconds
        Wait between two attempts: the first, and the bound that the doubled ones stay below.
    failures_in_a_row
        Failures after which a vendor is not asked again in a refresh.
    requests_per_minute, requests_per_day
        By vendor, in place of the limits of its free plan.
    base_urls
        Address by vendor, in place of the usual one.
    """

    vendors: Annotated[list[str], Field(min_length=1)]
    overlap_sessions: Annotated[int, Field(ge=1, le=250)]
    delay_minutes: Annotated[int, Field(ge=0, le=1_440)]
    tickers_per_commit: Count
    gone_nights: Count
    timeout_seconds: _Seconds
    total_minutes: Annotated[float, Field(gt=0, le=1_440)]
    news_minutes: Annotated[float, Field(ge=0, le=1_440)]
    reply_mb: Annotated[float, Field(gt=0, le=1_024)]
    concurrency: Annotated[int, Field(ge=1, le=64)]
    attempts: Annotated[int, Field(ge=1, le=20)]
    first_wait_seconds: _Seconds
    longest_wait_seconds: _Seconds
    failures_in_a_row: Count
    requests_per_minute: _Rates
    requests_per_day: _Rates
    base_urls: dict[str, Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")]]

    @field_validator("vendors", "requests_per_minute", "requests_per_day", "base_urls")
    @classmethod
    def _are_vendors(cls, values: list[str] | dict[str, object]) -> list[str] | dict[str, object]:
        known_names(list(values), VENDOR_NAMES, kind="vendor")
        return values

    @model_validator(mode="after")
    def _waits_are_in_order(self) -> RefreshSettings:
        if self.first_wait_seconds > self.longest_wait_seconds:
            raise ValueError("first_wait_seconds is longer than longest_wait_seconds")
        return self
