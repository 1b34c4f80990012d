"""Write a chat in a model's template, so that only the template's own marks count as marks.

A text of a message can hold `<|im_end|>`. If template and texts were joined first and then split into tokens, it would
end the message. Here the template is filled with placeholders, and texts take their places as plain text.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pm.llm.native import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pm.llm.base import Message
    from pm.llm.native import Native

__all__ = ["chat_tokens"]


def chat_tokens(native: Native, template: str | None, messages: Sequence[Message]) -> list[int]:
    """Return the tokens of a chat, up to the mark after which the model's next message follows.

    Raises
    ------
    RefusedError
        There is no template, or it cannot be filled with these messages.
    """
    if template is None:
        raise RefusedError(
            "The model has no template of a chat.", "set llm.chat_template, or choose a model that has one"
        )
    nonce = secrets.token_hex(8)
    names = [f"<{nonce}-{place}>" for place in range(len(messages))]
    filled = [{"role": message.role, "content": name} for message, name in zip(messages, names, strict=True)]
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, autoescape=False)
    environment.globals["raise_exception"] = _refuse
    try:
        text = environment.from_string(template).render(
            messages=filled, add_generation_prompt=True, bos_token="", eos_token=""
        )
    except (
        TemplateError,
        TypeError,
        ValueError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
    ) as error:
        raise RefusedError(
            f"The model's template of a chat cannot be filled: {error}.", "set llm.chat_template"
        ) from None
    tokens: list[int] = []
    for name, message in zip(names, messages, strict=True):
        before, found, text = text.partition(name)
        if not found:
            raise RefusedError(
                f"The model's template of a chat leaves out the message of the {message.role}.",
                "set llm.chat_template",
            )
        tokens += native.tokens(before, begins=not tokens, marks=True)
        tokens += native.tokens(message.content)
    return tokens + native.tokens(text, begins=not tokens, marks=True)


def _refuse(message: str) -> None:
    raise TemplateError(message)
