"""The slow twin of `Engine`: llama-cpp-python's own high level, one question and one token after another.

Run as a program in a process of its own: it reads questions from standard input as JSON and prints the scores.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    from llama_cpp import Llama

    asked = json.load(sys.stdin)
    llama = Llama(asked["path"], n_ctx=1024, n_threads=1, logits_all=True, verbose=False)
    head = llama.tokenize(asked["prefix"].encode(), add_bos=True, special=False)
    rows = []
    for suffix in asked["suffixes"]:
        question = head + llama.tokenize(suffix.encode(), add_bos=False, special=False)
        row = []
        for label in asked["labels"]:
            answer = llama.tokenize(label.encode(), add_bos=False, special=False)
            llama.reset()  # type: ignore[no-untyped-call]
            llama.eval(question + answer)
            total = 0.0
            for at, token in enumerate(answer):
                logits = llama.scores[len(question) + at - 1]
                total += float(llama.logits_to_logprobs(logits)[token])
            row.append(total)
        rows.append(row)
    json.dump(rows, sys.stdout)


if __name__ == "__main__":
    main()
