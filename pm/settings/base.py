"""What the sections of the settings have in common: their base class, and types of numbers."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

__all__ = ["Count", "Probability", "Section", "Window"]

Probability = Annotated[float, Field(gt=0, lt=1)]
"""A probability other than 0 and 1."""
Count = Annotated[int, Field(ge=1)]
"""A number of things, at least one."""
Window = Annotated[int, Field(ge=2)]
"""A number of sessions, at least two."""


class Section(BaseModel):
    """A section of the settings, one file of config/. It is immutable and refuses unknown keys.

    Numbers must be finite, and `true` or `false` is not a number. A number may be written as text, as in an environment
    variable. A key or a password must have type `SecretStr`; see `pm.settings.recorded`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _booleans_are_not_numbers(cls, value: object, info: ValidationInfo) -> object:
        assert info.field_name is not None  # noqa: S101 - this validates fields
        if _is_numeric(cls.model_fields[info.field_name].annotation):
            items = value if isinstance(value, (list, tuple)) else [value]
            if any(isinstance(item, bool) for item in items):
                raise ValueError("Input should be a number, not true or false")
        return value


def _is_numeric(annotation: Any) -> bool:  # noqa: ANN401 - a type, or what typing makes of one
    return annotation in (int, float) or any(_is_numeric(part) for part in get_args(annotation))
