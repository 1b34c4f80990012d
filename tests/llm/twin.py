"""The slow twin of `Engine`: llama-cpp-python's own high level, one question and one token of a label after another.

Run as a program in a process of its own: it reads questions from standard input as JSON and prints the scores.
"""

from __future__ import annotations

import json
import sys


def main() -> None:
    import numpy as np
    from llama_cpp import Llama, llama_get_logits_ith

    asked = json.load(sys.stdin)
    llama = Llama(asked["path"], n_ctx=1024, n_threads=1, verbose=False)
    head = llama.tokenize(asked["prefix"].encode(), add_bos=True, special=False)
    rows = []
    for suffix in asked["suffixes"]:
        question = head + llama.tokenize(suffix.encode(), add_bos=False, special=False)
        row = []
        for label in asked["labels"]:
            llama.reset()  # type: ignore[no-untyped-call]
            llama.eval(question)
            total = 0.0
            for token in llama.tokenize(label.encode(), add_bos=False, special=False):
                logits = np.ctypeslib.as_array(llama_get_logits_ith(llama.ctx, -1), (llama.n_vocab(),)).astype(float)
                total += float(logits[token] - np.log(np.exp(logits - logits.max()).sum()) - logits.max())
                llama.eval([token])
            row.append(total)
        rows.append(row)
    json.dump(rows, sys.stdout)


if __name__ == "__main__":
    main()
