"""Write the continuations of prompts side by side: one call of llama.cpp makes the next token of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import llama_cpp as api

from pm.llm.native import LateError, RefusedError, Token, shared_length

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pm.llm.native import Native

__all__ = ["Written", "write"]

_LIKELIEST = 40
"""Number of the most probable tokens that are drawn from."""


@dataclass
class Written:
    """Texts in the order of the prompts, and what was read and written."""

    texts: list[str]
    prompt_tokens: int = 0
    output_tokens: int = 0
    is_complete: bool = True


@dataclass
class _Text:
    """A text that is being written: its prompt, its sampler, and the bytes so far."""

    place: int
    prompt: Sequence[int]
    sampler: Any
    sequence: int = 0
    written: bytearray = field(default_factory=bytearray)
    tokens: int = 0
    newest: int = -1


def write(
    native: Native,
    prompts: Sequence[Sequence[int]],
    *,
    max_tokens: int,
    seed: int,
    temperature: float,
    grammar: str | None,
    batch_size: int,
    on_first: Callable[[], None],
) -> Written:
    """Return the continuation of each prompt, until the deadline of `native`.

    Parameters
    ----------
    prompts
        Tokens of the prompts, none of them empty.
    batch_size
        Largest number of texts that are written at once; at most the sequences of `native`.
    on_first
        Called when the first token is written.

    Raises
    ------
    RefusedError
        A prompt is empty or exceeds the context, or the grammar is none.
    """
    for prompt in prompts:
        if not prompt:
            raise RefusedError("A prompt is empty.", "ask something")
        if (needed := len(prompt) + max_tokens) > native.context_tokens:
            raise RefusedError(
                f"A prompt of {len(prompt):,} tokens and {max_tokens:,} to write are {needed:,}, and the model "
                f"reads {native.context_tokens:,}.",
                "shorten the prompt, or raise llm.context_tokens",
            )
    result = Written([""] * len(prompts))
    try:
        for places in _groups(prompts, max_tokens, native.context_tokens, min(batch_size, native.sequences)):
            texts = []
            try:
                for place in places:
                    sampler = _sampler(native, seed + place, temperature, grammar)
                    texts.append(_Text(place, prompts[place], sampler))
                _write_group(native, texts, max_tokens, result, on_first)
            finally:
                for text in texts:
                    result.texts[text.place] = _decoded(bytes(text.written))
                    result.output_tokens += text.tokens
                    api.llama_sampler_free(text.sampler)
                native.clear()
    except LateError:
        result.is_complete = False
    return result


def _groups(
    prompts: Sequence[Sequence[int]], max_tokens: int, context_tokens: int, batch_size: int
) -> Iterator[list[int]]:
    """Split the places of prompts, in order, into groups that fit in the context."""
    group: list[int] = []
    used = 0
    for place, prompt in enumerate(prompts):
        needed = len(prompt) + max_tokens
        if group and (len(group) == batch_size or used + needed > context_tokens):
            yield group
            group, used = [], 0
        group.append(place)
        used += needed
    if group:
        yield group


def _write_group(
    native: Native, texts: Sequence[_Text], max_tokens: int, result: Written, on_first: Callable[[], None]
) -> None:
    native.clear()  # equal calls have equal numbers only if the cache is in an equal state
    common = len(texts[0].prompt) - 1
    for text in texts:
        common = min(common, len(text.prompt) - 1, shared_length(texts[0].prompt, text.prompt))
    result.prompt_tokens += native.read_prefix(texts[0].prompt[:common])
    tokens: list[Token] = []
    owners: dict[int, _Text] = {}
    for sequence, text in enumerate(texts, start=1):
        text.sequence = sequence
        native.share_prefix(sequence, common)
        rest = text.prompt[common:]
        tokens += [Token(number, common + at, sequence) for at, number in enumerate(rest[:-1])]
        owners[len(tokens)] = text
        tokens.append(Token(rest[-1], len(text.prompt) - 1, sequence, is_wanted=True))
    result.prompt_tokens += len(tokens)
    while tokens:
        going: list[_Text] = []
        for outputs in native.decode(tokens):
            for place, output in outputs:
                if _add_token(native, owners[place], output) and owners[place].tokens < max_tokens:
                    going.append(owners[place])
            on_first()
        tokens = [
            Token(text.newest, len(text.prompt) + text.tokens - 1, text.sequence, is_wanted=True) for text in going
        ]
        owners = dict(enumerate(going))


def _add_token(native: Native, text: _Text, output: int) -> bool:
    """Draw the next token of a text, and return whether it goes on."""
    token = api.llama_sampler_sample(text.sampler, native.context, output)
    text.tokens += 1
    if api.llama_vocab_is_eog(native.vocabulary, token):
        return False
    text.newest = token
    text.written += native.piece(token)
    return True


def _sampler(native: Native, seed: int, temperature: float, grammar: str | None) -> Any:  # noqa: ANN401 - ctypes' own
    """Return the sampler of a text: what the grammar allows, and of that the most probable or one that is drawn."""
    chain = api.llama_sampler_chain_init(api.llama_sampler_chain_default_params())
    if grammar is not None:
        # llama.cpp takes an empty grammar, and fails with it later; for it a text ends at its first NUL.
        is_text = grammar.strip() != "" and "\0" not in grammar
        rules = (
            api.llama_sampler_init_grammar(native.vocabulary, grammar.encode(errors="replace"), b"root")
            if is_text
            else None
        )
        if not rules:
            api.llama_sampler_free(chain)
            raise RefusedError("The grammar is not one in GBNF with a rule named root.", "correct the grammar")
        api.llama_sampler_chain_add(chain, rules)
    if temperature == 0:
        api.llama_sampler_chain_add(chain, api.llama_sampler_init_greedy())
    else:
        api.llama_sampler_chain_add(chain, api.llama_sampler_init_top_k(_LIKELIEST))
        api.llama_sampler_chain_add(chain, api.llama_sampler_init_temp(temperature))
        api.llama_sampler_chain_add(chain, api.llama_sampler_init_dist(seed % 2**32))
    return chain


def _decoded(written: bytes) -> str:
    """Return the text of bytes; a letter that was cut off at the end is left out."""
    for cut in range(min(4, len(written) + 1)):
        try:
            return written[: len(written) - cut].decode()
        except UnicodeDecodeError:
            continue
    return written.decode(errors="replace")
