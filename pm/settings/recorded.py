"""Values of settings for records and fingerprints, without secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pm.settings.root import Settings

__all__ = ["recorded_settings", "section_values"]


def section_values(settings: Settings, name: str) -> Any:  # noqa: ANN401 - JSON
    """Return the values of a section, or of one setting of it, as JSON can hold them."""
    section, _, key = name.partition(".")
    values = settings.section(section).model_dump(mode="json")
    return values[key] if key else values


def recorded_settings(settings: Settings) -> str:
    """Return every setting as JSON, secrets left out."""
    return settings.model_dump_json()
