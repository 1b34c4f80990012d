"""What the sections of the settings have in common: their base class, and types of numbers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping  # noqa: TC003 - pydantic may read annotations
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, ClassVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo  # noqa: TC002 - as above

from pm.errors import did_you_mean

__all__ = [
    "LARGEST",
    "Count",
    "Days",
    "Probability",
    "Section",
    "Share",
    "Threads",
    "Window",
    "is_share",
    "known_names",
]

Probability = Annotated[float, Field(gt=0, lt=1)]
"""A probability other than 0 and 1."""
LARGEST = 1_000_000_000
"""Largest value of a count: any more is a slip, and would overflow somewhere later."""
Count = Annotated[int, Field(ge=1, le=LARGEST)]
"""A number of things, at least one."""
Window = Annotated[int, Field(ge=2, le=LARGEST)]
"""A number of sessions, at least two."""
Days = Annotated[int, Field(ge=0, le=36_525)]
"""A number of days, at most a century: a date minus it is a date."""
Threads = Annotated[int, Field(ge=0, le=10_000)]
"""A number of threads or processes; 0 for one per core."""


def _fraction(value: object) -> object:
    """Return the fraction that a text such as '60%' means; any other value as it is."""
    if not isinstance(value, str) or not value.strip().endswith("%"):
        return value
    try:
        return float(Decimal(value.strip().removesuffix("%")) / 100)  # 0.2% as a float / 100 would not be 0.002
    except InvalidOperation:
        raise ValueError("Input should be a percentage, such as 60%") from None


_PERCENT = BeforeValidator(_fraction)

Share = Annotated[float, _PERCENT]
"""A share, a probability or a return: in percent (60%), as the files of config/ have it, or as a fraction (0.6)."""


def is_share(field: FieldInfo) -> bool:
    """Return whether a field of a section is a share."""
    return _PERCENT in field.metadata


_LISTED = 12
"""Largest number of known names that a message lists."""


class Section(BaseModel):
    """A section of the settings, one file of config/. It is immutable and refuses unknown keys.

    Numbers must be finite, and `true` or `false` is not a number. A number may be written as text, as in an environment
    variable. A key or a password must have type `SecretStr`; see `pm.settings.recorded`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    former: ClassVar[Mapping[str, tuple[str, Callable[[object], float]]]] = {}
    """For each former spelling of a key that is still read, the key that replaced it, and a function that converts the
    value to its unit."""

    @classmethod
    def renamed(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return values with former spellings of keys replaced by the present ones, whose values they replace."""
        named = {key: value for key, value in values.items() if key not in cls.former}
        for old in cls.former.keys() & values.keys():
            new, convert = cls.former[old]
            named[new] = convert(values[old])
        return named

    @model_validator(mode="before")
    @classmethod
    def _read_former_spellings(cls, values: Any) -> Any:  # noqa: ANN401 - whatever the file holds
        # Those of files were replaced when they were read: what is left is of environment variables, which come first.
        return cls.renamed(values) if isinstance(values, dict) else values

    @field_validator("*", mode="before")
    @classmethod
    def _booleans_are_not_numbers(cls, value: object, info: ValidationInfo) -> object:
        assert info.field_name is not None  # noqa: S101 - this validates fields
        if _is_numeric(cls.model_fields[info.field_name].annotation):
            items = value if isinstance(value, (list, tuple)) else [value]
            if any(isinstance(item, bool) for item in items):
                raise ValueError("Input should be a number, not true or false")
        return value


def known_names(names: list[str], known: Collection[str], *, kind: str) -> list[str]:
    """Return names that are all known.

    Parameters
    ----------
    kind
        What the names name, for the message.

    Raises
    ------
    ValueError
        A name is not known; the message has the nearest known one.
    """
    for name in names:
        if name not in known:
            choice = f" Choose from {', '.join(sorted(known))}" if len(known) <= _LISTED else ""
            raise ValueError(f"unknown {kind} {name[:60]!r}.{did_you_mean(name, known)}{choice}".rstrip("."))
    return names


def _is_numeric(annotation: Any) -> bool:  # noqa: ANN401 - a type, or what typing makes of one
    return annotation in (int, float) or any(_is_numeric(part) for part in get_args(annotation))
