"""R17: a server of which too much is asked: too many pictures, slow clients, pictures that need too much memory."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from faults import serving
from faults.serving import Running, Tally

WAITING = 64  # pictures that may wait
FLAT_MIB = 150  # more memory than before the trial is growth
SLOW = 300  # clients that send a byte a second
DIGITS = 500  # different ones
RECOVERED = 3.0  # times as long as before an answer may take after it


class Overload(NamedTuple):
    """What came of more connections than pictures may wait."""

    few: Tally  # before, 8 connections
    many: Tally
    again: Tally  # after, as before
    seconds: float  # of the many
    cpu_s: float
    before_mib: float
    after_mib: float

    @property
    def is_good(self) -> bool:
        """Whether what was too much was refused, the others answered, and the memory given back."""
        return (
            set(self.many.statuses) <= {200, 429, 503}
            and self.many.statuses[200] > 0
            and self.many.reset == 0
            and set(self.again.statuses) == {200}
            and self.after_mib - self.before_mib < FLAT_MIB
        )


def overloaded(trial: int, rng: np.random.Generator, folder: Path) -> str:
    """R17: `serve` is asked by four or ten times as many clients as pictures may wait, beside 300 that send a byte a
    second, or for pictures of more memory than it may take: what is too much is refused with 422, 429 or 503, all else
    is answered, memory does not grow, and afterwards an answer takes as long as before."""
    return (_too_many, _too_slow, _too_large)[trial % 3](trial, rng)


def _too_many(trial: int, rng: np.random.Generator) -> str:
    times = (4, 10)[trial // 3 % 2]
    found = overload(times, 10.0)
    assert found.is_good, f"{found.many.statuses}, {found.many.reset} without an answer, then {found.again.statuses}"
    before, after = (tally.quantile_ms(0.99) for tally in (found.few, found.again))
    assert after < RECOVERED * before + 200, f"p99 {before:.0f} ms before, {after:.0f} ms after"
    return (
        f"{times} times as many clients as may wait: {dict(sorted(found.many.statuses.items()))}; p99 of 8 clients "
        f"{before:.0f} ms before, {after:.0f} after; memory {found.before_mib:.0f} and {found.after_mib:.0f} MiB"
    )


def _too_slow(trial: int, rng: np.random.Generator) -> str:
    alone, beside, seconds = dawdlers(10.0, body_share=float(rng.uniform(0.2, 0.8)))
    errors = _errors(beside)
    rates = [len(alone.seconds) / seconds[0], len(beside.seconds) / seconds[1]]
    assert not errors, f"of the others, {beside.reset} were not answered, and {beside.statuses}"
    assert rates[1] > rates[0] / 3, f"{rates[1]:.0f} digits/s beside them, {rates[0]:.0f} alone"
    return f"{SLOW} clients that send a byte a second: {rates[1]:.0f} digits/s beside them, {rates[0]:.0f} alone"


def _too_large(trial: int, rng: np.random.Generator) -> str:
    from PIL import Image

    side, digits = int(rng.integers(5500, 7000)), serving.digits(DIGITS)
    file = io.BytesIO()
    Image.new("RGBA", (side, side), (255, 255, 255, 200)).save(file, "PNG", compress_level=1)
    large = serving.HEAD % len(file.getvalue()) + file.getvalue()
    with serving.server("--max_memory_mib=100") as server:
        before = server.resident_mib()
        turn = iter([large] * 4)

        async def both() -> tuple[Tally, Tally]:
            asked = asyncio.create_task(serving.load(server.port, 2, lambda: next(turn, None)))
            others = await serving.load(server.port, 8, until(8, digits))
            return await asked, others

        refused, others = asyncio.run(both())
        after = server.resident_mib()
    assert set(refused.statuses) == {422}, refused.statuses
    assert not _errors(others), others.statuses
    assert len(others.seconds), "no digit was read"
    assert after - before < FLAT_MIB, f"{before:.0f} MiB before, {after:.0f} after"
    return (
        f"pictures of {side}x{side} pixels in 100 MiB: {dict(refused.statuses)}; {len(others.seconds)} digits beside "
        f"them, all read; memory {before:.0f} MiB before, {after:.0f} after"
    )


def overload(times: int, seconds: float, *flags: str) -> Overload:
    """Opens `times` as many connections as pictures may wait, and a few before and after."""
    digits = serving.digits(DIGITS)
    own = [f"--max_waiting={WAITING}", f"--max_per_client={2 * WAITING}"]
    with serving.server(*own, *flags) as server:
        few = asyncio.run(serving.load(server.port, 8, until(3, digits)))
        before, cpu, start = server.resident_mib(), server.cpu_s(), time.perf_counter()
        many = asyncio.run(serving.load(server.port, times * WAITING, until(seconds, digits)))
        took, cpu, after = time.perf_counter() - start, server.cpu_s() - cpu, server.resident_mib()
        again = asyncio.run(serving.load(server.port, 8, until(3, digits)))
    return Overload(few, many, again, took, cpu, before, after)


def dawdlers(seconds: float, *flags: str, body_share: float = 0.5) -> tuple[Tally, Tally, tuple[float, float]]:
    """8 normal clients alone; and beside `SLOW` ones, a share of whom sends its headers at once and its body slowly.
    Returns what became of the normal ones' requests, and for how many seconds they asked."""
    digits, alone_s = serving.digits(DIGITS), 5.0
    with serving.server("--max_connections=200", "--max_header_s=3", "--max_body_s=3", *flags) as server:
        alone = asyncio.run(serving.load(server.port, 8, until(alone_s, digits)))

        async def both() -> Tally:
            body = digits[0].index(b"\r\n\r\n") + 4
            starts = [body if i < SLOW * body_share else 0 for i in range(SLOW)]
            slow = [asyncio.create_task(_drip(server, digits[0], at, seconds)) for at in starts]
            tally = await serving.load(server.port, 8, until(seconds, digits))
            await asyncio.gather(*slow)
            return tally

        return alone, asyncio.run(both()), (alone_s, seconds)


async def _drip(server: Running, request: bytes, at: int, seconds: float) -> None:
    """Sends the first `at` bytes of a request, and the rest a byte a second, until the server has enough of it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request[:at])
            for byte in request[at:]:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(1)
                if time.monotonic() > end:
                    break
            writer.close()
        except (OSError, RuntimeError):  # the server has ended the connection
            await asyncio.sleep(0.2)


def until(seconds: float, contents: list[bytes]) -> Callable[[], bytes | None]:
    """Returns a function that gives the contents in turn, and None once `seconds` have passed."""
    end, place = time.monotonic() + seconds, -1

    def following() -> bytes | None:
        nonlocal place
        place += 1
        return contents[place % len(contents)] if time.monotonic() < end else None

    return following


def _errors(tally: Tally) -> int:
    return tally.reset + sum(count for status, count in tally.statuses.items() if status != 200)
