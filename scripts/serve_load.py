"""Tries a server on this machine, with its client on the same cores, and prints what came of it.

    python scripts/serve_load.py --load                  # 64 connections for 60 s, batching on and off
    python scripts/serve_load.py --load --together=16 --connections=8    # forms of 16 digits each
    python scripts/serve_load.py --load --side_px=600    # digits as a camera sees them, JPEG of 600x600 pixels
    python scripts/serve_load.py --overload              # four times as many pictures as may wait: reliability goal R17
    python scripts/serve_load.py --sigterm=20            # ended under load: no accepted request is lost
    python scripts/serve_load.py --slow                  # clients that send a byte a second, beside normal ones
    python scripts/serve_load.py --mutations=10000       # damaged pictures: no 5xx, bounded memory
    python scripts/serve_load.py --schemathesis=60       # random requests from the OpenAPI document, for a minute

Digits come from MNIST (HWR_MNIST_DIR). Exits with 1 if a trial failed.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from faults import mutants, overload, serving
from faults.overload import until
from faults.serving import Tally

DIGITS = 2000  # different ones


def main() -> int:
    """Runs the trials that the flags name; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--load", action="store_true")
    parser.add_argument("--overload", action="store_true")
    parser.add_argument("--sigterm", type=int, default=0, metavar="TRIALS")
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--mutations", type=int, default=0, metavar="N")
    parser.add_argument("--schemathesis", type=int, default=0, metavar="SECONDS")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each load")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--together", type=int, default=1, help="digits in a request")
    parser.add_argument("--side_px", type=int, default=28, help="of their pictures")
    args, flags = parser.parse_known_args()  # the others are the server's
    good = True
    if args.load:
        count = DIGITS if args.side_px == 28 else 100
        digits = serving.digits(count, together=args.together, side_px=args.side_px)
        good &= _load(args.seconds, args.connections, digits, args.together, flags)
    if args.overload:
        good &= _overload(args.seconds, flags)
    if args.sigterm:
        good &= _sigterm(args.sigterm, args.connections, flags)
    if args.slow:
        good &= _slow(args.seconds, flags)
    if args.mutations:
        good &= _mutations(args.mutations, flags)
    if args.schemathesis:
        good &= _schemathesis(args.schemathesis, flags)
    return 0 if good else 1


def _run(work) -> Tally:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def _load(seconds: float, connections: int, digits: list[bytes], together: int, flags: list[str]) -> bool:
    rates, errors = [], 0
    for name, own in (("batching on", []), ("batching off", ["--unbatched"])):
        with serving.server(*own, *flags) as server:
            _run(serving.load(server.port, connections, until(2, digits)))  # warms up
            spent, alone, client = server.cpu_s(), server.cpu_s(alone=True), time.process_time()
            start = time.perf_counter()
            tally = _run(serving.load(server.port, connections, until(seconds, digits)))
            took = time.perf_counter() - start
            read = max(together * len(tally.seconds), 1)
            spent, alone, client = (
                1000 * (now - before) / read
                for now, before in (
                    (server.cpu_s(), spent),
                    (server.cpu_s(alone=True), alone),
                    (time.process_time(), client),
                )
            )
            others = {status: count for status, count in sorted(tally.statuses.items()) if status != 200}
            print(
                f"{name:<14}{read / took:8.0f} digits/s  p50 {tally.quantile_ms(0.5):6.1f} ms  "
                f"p99 {tally.quantile_ms(0.99):6.1f} ms  errors {tally.reset + sum(others.values())} {others or ''}  "
                f"CPU a digit: {spent:.2f} ms, of it {alone:.2f} in the server's own process; "
                f"{1000 / spent:.0f} digits a CPU-second; the client {client:.2f} ms  {server.resident_mib():.0f} MiB",
                flush=True,
            )
        rates.append(read / took)
        errors += tally.reset + sum(others.values())
    print(f"ratio: {rates[0] / rates[1]:.2f}")
    return errors == 0


def _overload(seconds: float, flags: list[str]) -> bool:
    """Four times as many connections as pictures may wait; then a few, as before."""
    found = overload.overload(4, seconds, *flags)
    answered = len(found.many.seconds)
    print(
        f"4x overload: {answered / found.seconds:.0f} digits/s, {dict(sorted(found.many.statuses.items()))}, "
        f"{found.many.reset} without an answer, {1000 * found.cpu_s / max(answered, 1):.2f} ms CPU a digit"
    )
    print(f"before, p99: {found.few.quantile_ms(0.99):.1f} ms; after: {found.again.quantile_ms(0.99):.1f} ms")
    good = "good" if found.is_good else "FAILED"
    print(f"memory: {found.before_mib:.0f} MiB before, {found.after_mib:.0f} after: {good}")
    return found.is_good


def _sigterm(trials: int, connections: int, flags: list[str]) -> bool:
    digits, lost, codes, longest, answered = serving.digits(DIGITS), 0, [], 0.0, 0
    for trial in range(trials):
        with serving.server(*flags) as server:
            ends: list[tuple[int, float]] = []

            async def work(server=server, ends=ends, wait_s=0.5 + 0.05 * trial) -> Tally:
                loop = asyncio.get_running_loop()
                stop = loop.run_in_executor(None, lambda: (time.sleep(wait_s), ends.append(server.stop())))
                tally = await serving.load(server.port, connections, until(30, digits))
                await stop
                return tally

            tally = _run(work())
            [(code, took)] = ends
            others = {status: count for status, count in tally.statuses.items() if status != 200}
            lost += tally.reset + sum(others.values())
            answered += tally.statuses[200]
            codes.append(code)
            longest = max(longest, took)
            if others or tally.reset:
                print(f"trial {trial}: {tally.reset} without an answer, {others}")
    print(
        f"SIGTERM: {trials} trials, {answered} requests answered, {lost} lost, exit codes {set(codes)}, "
        f"at most {longest:.1f} s"
    )
    return lost == 0 and set(codes) == {143}


def _slow(seconds: float, flags: list[str]) -> bool:
    """Clients that send headers, or a body, a byte at a time; 8 normal ones beside them."""
    alone, beside, took = overload.dawdlers(min(seconds, 20.0), *flags)
    rates = [len(tally.seconds) / second for tally, second in zip((alone, beside), took, strict=True)]
    errors = beside.reset + sum(n for status, n in beside.statuses.items() if status != 200)
    print(
        f"{overload.SLOW} slow clients: {rates[1]:.0f} digits/s beside them, {rates[0]:.0f} alone; "
        f"p99 {beside.quantile_ms(0.99):.1f} ms; errors {errors}"
    )
    return errors == 0 and rates[1] > rates[0] / 2


def _mutations(count: int, flags: list[str]) -> bool:
    """Damaged pictures, in turn to both routes; then a digit, which is read as before."""
    statuses, peak = {}, 0.0
    kind = b"application/octet-stream"
    head = b"POST /v1/%s HTTP/1.1\r\nhost: localhost\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n"
    with serving.server(*flags) as server:
        before = server.resident_mib()

        def requests() -> Iterator[bytes]:
            nonlocal peak
            for number in range(count):
                _, content = mutants.mutant(number)
                if number % 200 == 0:
                    peak = max(peak, server.resident_mib())
                yield head % (b"scan" if number % 2 else b"predict", kind, len(content)) + content

        turn = requests()
        start = time.perf_counter()
        tally = _run(serving.load(server.port, 8, lambda: next(turn, None)))
        took, statuses = time.perf_counter() - start, dict(sorted(tally.statuses.items()))
        one = iter(serving.digits(1))
        digit = _run(serving.load(server.port, 1, lambda: next(one, None)))
        after = server.resident_mib()
    bad = tally.reset + sum(n for status, n in statuses.items() if status >= 500)
    print(
        f"{count} damaged pictures in {took:.0f} s: {statuses}, {tally.reset} without an answer; memory "
        f"{before:.0f} MiB before, {peak:.0f} at most, {after:.0f} after; a digit: {dict(digit.statuses)}"
    )
    return bad == 0 and digit.statuses[200] == 1


def _schemathesis(seconds: int, flags: list[str]) -> bool:
    with serving.server(*flags) as server:
        where = f"http://localhost:{server.port}/openapi.json"
        program = Path(sys.executable).with_name("schemathesis")
        # A schema cannot say which bytes are a picture: one that is refused is no finding.
        flags = [f"--max-time={seconds}", "--phases=examples,coverage,fuzzing"]
        flags.append("--exclude-checks=positive_data_acceptance")
        done = subprocess.run([program, "run", where, *flags], capture_output=True, text=True)
    print("\n".join(done.stdout.splitlines()[-25:]))
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
