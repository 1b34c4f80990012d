"""Score labels after suffixes of a shared prefix: the prefix is read once, and many suffixes are read at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pm.llm.native import LateError, RefusedError, Token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pm.llm.native import Native

__all__ = ["Scored", "score"]


@dataclass
class Scored:
    """Log-probabilities of each label after each suffix, None for those not reached in time; and what was read."""

    values: list[list[float] | None]
    prompt_tokens: int = 0
    output_tokens: int = 0
    is_complete: bool = True


@dataclass(frozen=True)
class _Question:
    """A suffix: its place among all, the length of the prefix before it, and its tokens."""

    place: int
    begin: int
    tokens: list[int]

    @property
    def end(self) -> int:
        """Position after its last token."""
        return self.begin + len(self.tokens)


def score(
    native: Native,
    prefix: str,
    suffixes: Sequence[str],
    labels: Sequence[str],
    *,
    batch_size: int,
    on_first: Callable[[], None],
) -> Scored:
    """Return the log-probability of each label after each suffix, until the deadline of `native`.

    Parameters
    ----------
    batch_size
        Largest number of suffixes that are read at once; at most the sequences of `native`.
    on_first
        Called when the first suffix is scored.

    Raises
    ------
    RefusedError
        A question is empty or exceeds the context, or a label is empty.
    """
    head = native.tokens(prefix, begins=True)
    numbers = [native.tokens(label) for label in labels]
    if not numbers or not all(numbers):
        raise RefusedError("There is no label to score, or one is empty.", "name labels")
    longest = max(map(len, numbers))
    questions = [_question(native, place, head, suffix, longest) for place, suffix in enumerate(suffixes)]
    result = Scored([None] * len(suffixes))
    try:
        result.prompt_tokens += native.read_prefix(head)
        for group in _groups(questions, len(head), longest, native.context_tokens, min(batch_size, native.sequences)):
            _score_group(native, group, numbers, result, on_first)
    except LateError:
        result.is_complete = False
    return result


def _question(native: Native, place: int, head: list[int], suffix: str, longest: int) -> _Question:
    tokens = native.tokens(suffix)
    begin = len(head)
    if not tokens:
        if not head:
            raise RefusedError("A question is empty.", "ask something")
        begin, tokens = begin - 1, head[-1:]  # its last token is read again, for what follows it
    if (needed := begin + len(tokens) + longest) > native.context_tokens:
        raise RefusedError(
            f"A question has {needed:,} tokens, and the model reads {native.context_tokens:,}.",
            "shorten the question, or raise llm.context_tokens",
        )
    return _Question(place, begin, tokens)


def _groups(
    questions: Sequence[_Question], prefix: int, longest: int, context_tokens: int, batch_size: int
) -> Iterator[list[_Question]]:
    """Split questions, in order, into groups that fit in the context together with the prefix."""
    group: list[_Question] = []
    used = prefix
    for question in questions:
        needed = len(question.tokens) + longest
        if group and (len(group) == batch_size or used + needed > context_tokens):
            yield group
            group, used = [], prefix
        group.append(question)
        used += needed
    if group:
        yield group


def _score_group(
    native: Native,
    group: Sequence[_Question],
    labels: Sequence[Sequence[int]],
    result: Scored,
    on_first: Callable[[], None],
) -> None:
    """Score one group; the sequences are empty again afterwards. What was scored before the deadline is kept."""
    firsts = [label[0] for label in labels]
    is_short = all(len(label) == 1 for label in labels)
    values: list[list[float]] = [[] for _ in group]
    try:
        tokens: list[Token] = []
        owners: dict[int, int] = {}
        for index, question in enumerate(group):
            native.share_prefix(index + 1, question.begin)
            tokens += [Token(number, question.begin + at, index + 1) for at, number in enumerate(question.tokens[:-1])]
            owners[len(tokens)] = index
            tokens.append(Token(question.tokens[-1], question.end - 1, index + 1, is_wanted=True))
        for outputs in native.decode(tokens):
            for place, output in outputs:
                index = owners[place]
                values[index] = native.log_probabilities(output, firsts)
                result.prompt_tokens += len(group[index].tokens)
                result.output_tokens += len(labels)
                if is_short:
                    result.values[group[index].place] = values[index]
            on_first()
        for number, label in enumerate(labels):
            if len(label) > 1:
                result.output_tokens += _add_rest(native, group, label, values, number)
        for question, scores in zip(group, values, strict=True):
            result.values[question.place] = scores
    finally:
        for index in range(len(group)):
            native.forget(index + 1)


def _add_rest(
    native: Native, group: Sequence[_Question], label: Sequence[int], values: list[list[float]], number: int
) -> int:
    """Add the log-probabilities of a label's later tokens to that of its first one; return how many there were."""
    tokens = [
        Token(part, question.end + at, index + 1, is_wanted=True)
        for index, question in enumerate(group)
        for at, part in enumerate(label[:-1])
    ]
    for outputs in native.decode(tokens):
        for place, output in outputs:
            index, at = divmod(place, len(label) - 1)
            values[index][number] += native.log_probabilities(output, [label[at + 1]])[0]
    for index, question in enumerate(group):
        native.forget(index + 1, question.end)
    return len(tokens)
