"""Ask a running `pm serve` for one page at a steady rate, and print the latencies and the processor time of the server.

Usage: python benchmarks/pages.py URL-OF-A-PAGE PID-OF-THE-SERVER [RATE-PER-SECOND] [SECONDS]
"""

from __future__ import annotations

import asyncio
import sys
import time
from urllib.parse import urlsplit

import psutil

_CONNECTIONS = 16


async def _ask(url: str, queue: asyncio.Queue[float | None], latencies: list[float]) -> None:
    """Ask for the page once for each time in the queue; the latency counts from that time on."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    while (due := await queue.get()) is not None:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode())
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(length)
        latencies.append(time.perf_counter() - due)
    writer.close()


async def measure(url: str, rate: float, seconds: float) -> list[float]:
    """Return the latency of each request in seconds, from the time at which it was due."""
    queue: asyncio.Queue[float | None] = asyncio.Queue()
    latencies: list[float] = []
    workers = [asyncio.create_task(_ask(url, queue, latencies)) for _ in range(_CONNECTIONS)]
    start = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = start + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        queue.put_nowait(due)
    for _ in workers:
        queue.put_nowait(None)
    await asyncio.gather(*workers)
    return sorted(latencies)


def main() -> None:
    """Measure, and print a line."""
    url, server = sys.argv[1], psutil.Process(int(sys.argv[2]))
    rate, seconds = (float(value) for value in [*sys.argv[3:5], "200", "20"][:2])
    before = sum(server.cpu_times()[:2])
    start = time.perf_counter()
    latencies = asyncio.run(measure(url, rate, seconds))
    took, spent = time.perf_counter() - start, sum(server.cpu_times()[:2]) - before
    middle, high = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
    print(
        f"{len(latencies):,} requests in {took:.1f} s ({len(latencies) / took:.0f}/s), p50 {middle * 1000:.1f} ms, "
        f"p99 {high * 1000:.1f} ms; server {spent / len(latencies) * 1000:.2f} ms of a processor per request; "
        f"load {psutil.getloadavg()[0]:.0f} on {psutil.cpu_count()} cores"
    )


if __name__ == "__main__":
    main()
