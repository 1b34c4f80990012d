"""Choose the values of settings that may be stored, hashed and shown: everything but secrets.

A field is a secret if its type is or contains `SecretStr` or `SecretBytes`: `SecretStr | None` and
`dict[str, SecretStr]` are secrets too. Credentials in an address, as in `tcp://user:password@host:8786`, are replaced.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, SecretBytes, SecretStr
from pydantic_core import to_jsonable_python

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["is_secret_at", "recorded_values", "redact_credentials"]

_SECRETS = (SecretStr, SecretBytes)
_REDACTED = "***"
# Greedy up to the last @, since a password may contain @ or / itself. Without a scheme there must be a colon before the
# @, which an e-mail address does not have.
_CREDENTIALS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)\S*@|^[^\s@:/]*:\S*@", re.IGNORECASE)

_PASSWORD = re.compile(r"(?P<name>password=)[^&\s]*", re.IGNORECASE)


def recorded_values(value: Any) -> Any:  # noqa: ANN401 - whatever a field holds
    """Return a value as JSON can hold it, without the secrets in it.

    Parameters
    ----------
    value
        A settings model, or a value of one. Secret fields are left out, key and all, at any depth.
    """
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {
            name: recorded_values(getattr(value, name))
            for name, field in fields.items()
            if not _is_secret(field.annotation)
        }
    if isinstance(value, dict):
        return {key: recorded_values(item) for key, item in value.items() if not isinstance(item, _SECRETS)}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [recorded_values(item) for item in value if not isinstance(item, _SECRETS)]
    if isinstance(value, str):
        return redact_credentials(value)
    return None if isinstance(value, _SECRETS) else to_jsonable_python(value)


def redact_credentials(text: str) -> str:
    """Replace the user name and the password of an address, and a password in its query.

    Examples
    --------
    >>> redact_credentials("tcp://user:password@10.0.0.1:8786")
    'tcp://***@10.0.0.1:8786'
    >>> redact_credentials("10.0.0.1:6379")
    '10.0.0.1:6379'
    >>> redact_credentials("postgres://10.0.0.1/lake?password=secret&sslmode=require")
    'postgres://10.0.0.1/lake?password=***&sslmode=require'
    """
    text = _CREDENTIALS.sub(lambda match: f"{match['scheme'] or ''}{_REDACTED}@", text)
    return _PASSWORD.sub(lambda match: match["name"] + _REDACTED, text)


def is_secret_at(model: type[BaseModel], path: Sequence[int | str]) -> bool:
    """Return whether the value at a path of a model is a secret or may contain one.

    Parameters
    ----------
    model
        The model at which the path starts.
    path
        Names of fields, and keys or indices of mappings and lists, as in the location of a pydantic error. A name that
        is not a field counts as its parent, since a misspelt key may hold the secret.
    """
    annotation: Any = model
    for part in path:
        found = [kind.model_fields[part].annotation for kind in _models(annotation) if part in kind.model_fields]
        annotation = found[0] if found else annotation
    return _is_secret(annotation) or any(_has_secret_field(kind) for kind in _models(annotation))


def _is_secret(annotation: Any) -> bool:  # noqa: ANN401 - a type, or what typing makes of one
    return annotation in _SECRETS or any(_is_secret(part) for part in get_args(annotation))


def _models(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401 - a type, or what typing makes of one
    """Return the models that a type is or contains."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _has_secret_field(model: type[BaseModel]) -> bool:
    annotations = [field.annotation for field in model.model_fields.values()]
    return any(_is_secret(part) or any(_has_secret_field(kind) for kind in _models(part)) for part in annotations)
