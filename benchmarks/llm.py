"""Measure the language model: scores beside a naive JSON answer, texts side by side, HTTP, speed, memory, endurance.

    python benchmarks/llm.py [--rounds N] [--threads N] [--calls N] [--only PART]

What is compared is run in turns within one run. Seconds are those of the clock and, beside them, of the processor: on a
machine with other work only the latter say how dear something is. `--calls 10000` also asks that many small questions,
and prints the memory before and after.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, ClassVar

import httpx

from pm.llm.models import find_models, prepare_default
from pm.llm.opening import load
from pm.llm.registry import Registry
from pm.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pm.llm.base import Call
    from pm.llm.engine import Engine

PREFIX = "What to do with a share, in one word: buy, sell or hold.\n"
LABELS = (" buy", " sell", " hold")
HEADLINES = (
    "margin widens to 18% from 14%",
    "beats but guides lower",
    "loses an appeal over a patent",
    "wins an order",
)
SENTIMENTS = (" positive", " negative")
NAIVE = (
    "You are a market analyst. Read the facts about the share as JSON and answer with JSON that has an action (BUY, "
    "SELL or HOLD), a confidence between 0 and 1, and a short reason.\nFacts: {facts}\nAnswer:"
)
INSTRUCTIONS = (
    "Write one short sentence for the owner of a share. Say only what the facts say, in plain words, without advice, "
    "and without numbers that are not among the facts.\nFacts: "
)
GRAMMAR = (
    r'root ::= "{\"action\": \"" ("BUY" | "SELL" | "HOLD") "\", \"confidence\": 0." [0-9] [0-9] '
    r'", \"reason\": \"" [a-z ]{10,60} "\"}"'
)


@dataclass
class Spent:
    """Seconds of the clock and of the processor, and how many things they were for."""

    clock: float = 0.0
    processor: float = 0.0
    things: int = 0

    def add(self, call: Call, things: int) -> None:
        """Add what a call for some things took."""
        self.clock += call.seconds
        self.processor += call.processor_seconds
        self.things += things

    def rates(self) -> str:
        """Return how many things a second was enough for, by both clocks."""
        return f"{self.things / self.clock:8.2f} a second, {self.things / self.processor:8.2f} a processor second"


def ratio(name: str, fast: Spent, slow: Spent, target: str) -> None:
    """Print how many times as fast one way is."""
    clock = (slow.clock / slow.things) / (fast.clock / fast.things)
    processor = (slow.processor / slow.things) / (fast.processor / fast.things)
    print(f"{name}: {clock:.1f} times as fast by the clock, {processor:.1f} by the processor (target {target})")


def facts(number: int) -> tuple[str, dict[str, float]]:
    """Return what is known of a ticker, as three clauses in words, and as the eight numbers that they were made from.

    Code knows which ticker it is; the model need not.
    """
    change, volatility, trend = number % 23 - 11, (0.14, 0.23, 0.41)[number % 3], (number % 7 - 3) / 100
    words = f"price {change:+d}% in a month, volatility {('low', 'middle', 'high')[number % 3]}"
    words += f", {'above' if trend > 0 else 'below'} its average"
    numbers = {
        "return_1d": change / 1900,
        "return_5d": change / 410,
        "return_20d": change / 100,
        "volatility_20d": volatility,
        "distance_from_average_50d": trend,
        "rsi_14d": 50.0 + 2 * change,
        "drawdown": -abs(change) / 70,
        "volume_ratio": 1.0 + trend,
    }
    return words, {name: round(value, 4) for name, value in numbers.items()}


def tickers(number: int, turn: int) -> list[str]:
    """Return questions about tickers, other ones in each turn."""
    return [f"{facts(number * turn + place)[0]}. Action:" for place in range(number)]


def scoring(engine: Engine, rounds: int, all_calls: list[Call]) -> None:
    """Score three labels for tickers by their clauses, and have the model answer in JSON about others' numbers."""
    ours, naive = Spent(), Spent()
    for turn in range(rounds):
        call = engine.score(PREFIX, tickers(64, turn), LABELS, deadline_seconds=600).call
        ours.add(call, 64)
        all_calls.append(call)
        for place in range(3):
            numbers = json.dumps(facts(3 * turn + place)[1])
            written = engine.generate(
                [NAIVE.format(facts=numbers)], max_tokens=60, seed=turn, deadline_seconds=600, grammar=GRAMMAR
            )
            json.loads(written.text)
            naive.add(written.call, 1)
    print(f"tickers scored in words:  {ours.rates()} (target 25 a second on two idle cores)")
    print(f"tickers answered in JSON: {naive.rates()}")
    ratio("scoring against a naive JSON answer", ours, naive, "15")


def headlines(engine: Engine, rounds: int, all_calls: list[Call]) -> None:
    """Score two labels for headlines."""
    spent = Spent()
    for turn in range(rounds):
        asked = [f"Headline: Firm {turn}-{place} {HEADLINES[place % 4]}\nSentiment:" for place in range(64)]
        call = engine.score("", asked, SENTIMENTS, deadline_seconds=600).call
        spent.add(call, 64)
        all_calls.append(call)
    print(f"headlines:                {spent.rates()} (target 40 a second on two idle cores)")


def writing(engine: Engine, rounds: int) -> None:
    """Write the same prompts side by side and one after another; a token read and a token written count alike.

    The prompts have their instructions in common, as those of a stage have.
    """
    together, alone = Spent(), Spent()
    for turn in range(rounds):
        prompts = [f"{INSTRUCTIONS}{facts(32 * turn + place)[0]}. In short:" for place in range(32)]
        call = engine.generate(prompts, max_tokens=40, seed=turn, deadline_seconds=600).call
        tokens = sum(engine.count_tokens(prompts))  # of a beginning that is shared, each prompt has its own
        together.add(call, tokens + call.output_tokens)
        for place, prompt in enumerate(prompts[:6]):
            call = engine.generate([prompt], max_tokens=40, seed=turn + place, deadline_seconds=600).call
            alone.add(call, call.prompt_tokens + call.output_tokens)
    print(f"tokens, 32 side by side:  {together.rates()}, prompts counted")
    print(f"tokens, one by one:       {alone.rates()}, prompts counted")
    ratio("writing side by side", together, alone, "3")


class Handler(BaseHTTPRequestHandler):
    """The least that a server of a model does: JSON in, scores, JSON out."""

    engine: ClassVar[Engine]

    def do_POST(self) -> None:
        """Answer a request."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        scores = self.engine.score(asked["prefix"], asked["suffixes"], asked["labels"], deadline_seconds=600)
        body = json.dumps({"values": scores.values}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def loopback(engine: Engine, rounds: int) -> None:
    """Ask about one ticker in process and by HTTP, in turns."""
    Handler.engine = engine
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    inside, over = [], []
    for turn in range(10 * rounds):
        suffixes = tickers(1, turn)
        inside.append(timed(lambda: engine.score(PREFIX, suffixes, LABELS, deadline_seconds=600)))  # noqa: B023
        body = {"prefix": PREFIX, "suffixes": tickers(1, turn + 10_000), "labels": LABELS}
        over.append(timed(lambda: httpx.post(address, json=body, timeout=600).raise_for_status()))  # noqa: B023
    server.shutdown()
    print(
        f"one ticker: {1000 * median(inside):.1f} ms in process, {1000 * median(over):.1f} ms over loopback HTTP "
        f"(medians of {len(inside)} pairs): {median(over) / median(inside):.2f} times"
    )


def timed(ask: Callable[[], object]) -> float:
    """Return the seconds that asking took."""
    started = time.perf_counter()
    ask()
    return time.perf_counter() - started


def endurance(engine: Engine, calls: int) -> None:
    """Ask many small questions, if any, and print the memory along the way."""
    if not calls:
        return
    memory: list[int] = []
    for number in range(calls):
        call = engine.score(PREFIX, [f"T{number}. Action:"], LABELS, deadline_seconds=60).call
        if number % max(calls // 10, 1) == 0 or number == calls - 1:
            memory.append(call.memory_bytes)
    print(f"{calls:,} calls: {engine.restarts} crashes; memory {', '.join(f'{one / 1e6:.0f}' for one in memory)} MB")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--calls", type=int, default=0)
    parser.add_argument("--only", choices=["scoring", "headlines", "writing", "loopback", "endurance"], default=None)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        registry = Registry(Path(folder))
        default = next(model for model in find_models(Path(folder)) if model.is_default)
        settings = load_settings().llm.model_copy(update={"threads": options.threads})
        with load(prepare_default(default, registry, print), settings, registry) as engine:
            info = replace(engine.info, sha256=engine.info.sha256[:8])
            print(info)
            calls: list[Call] = []
            parts: dict[str, Callable[[], None]] = {
                "scoring": lambda: scoring(engine, options.rounds, calls),
                "headlines": lambda: headlines(engine, options.rounds, calls),
                "writing": lambda: writing(engine, options.rounds),
                "loopback": lambda: loopback(engine, options.rounds),
                "endurance": lambda: endurance(engine, options.calls),
            }
            for name, measure in parts.items():
                if options.only in {None, name}:
                    measure()
            if calls:
                seconds = [call.seconds for call in calls]
                p95 = quantiles(seconds, n=20, method="inclusive")[-1]
                print(f"calls for 64 tickers or headlines: p50 {median(seconds):.2f} s, p95 {p95:.2f} s (target 5 s)")
                print(f"memory: {max(call.memory_bytes for call in calls) / 1e6:.0f} MB (target 700)")


if __name__ == "__main__":
    main()
