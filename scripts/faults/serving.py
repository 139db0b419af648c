"""A server to try things on, and a client that costs little: raw HTTP over asyncio, many connections in one process."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
HEAD = b"POST /v1/predict HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ncontent-length: %d\r\n\r\n"
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
CLOSES = re.compile(rb"(?i)\r\nconnection: *close")


@dataclass
class Tally:
    """What became of requests."""

    statuses: collections.Counter[int] = field(default_factory=collections.Counter)
    seconds: list[float] = field(default_factory=list)  # of those answered with 200
    reset: int = 0  # connections that ended while a request had no whole answer
    sent: int = 0

    def quantile_ms(self, share: float) -> float:
        """Returns a quantile of the times."""
        return 1000 * float(np.quantile(self.seconds, share)) if self.seconds else float("nan")


class Client(asyncio.Protocol):
    """A connection that sends one request after the other."""

    def __init__(self, requests: Callable[[], bytes | None], tally: Tally, ended: asyncio.Future[None]):
        """requests: returns the next one, or None to end. ended: done when the connection has gone."""
        self._requests, self._tally, self._ended = requests, tally, ended
        self._buffer, self._since = bytearray(), 0.0
        self.refused = False

    def connection_made(self, transport) -> None:
        """Sends the first request."""
        self._transport = transport
        self._next()

    def _next(self) -> None:
        content = self._requests()
        if content is None:
            self._since = 0.0
            self._transport.close()
            return
        self._tally.sent += 1
        self._since = time.perf_counter()
        self._transport.write(content)

    def data_received(self, data: bytes) -> None:
        """Takes an answer, and sends the next request."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end])
        found = LENGTH.search(head)
        size = end + 4 + (int(found[1]) if found else 0)
        if len(self._buffer) < size:
            return
        del self._buffer[:size]
        status = int(head[9:12])
        self._tally.statuses[status] += 1
        if status == 200:
            self._tally.seconds.append(time.perf_counter() - self._since)
        self._since = 0.0
        self.refused = status != 200
        if CLOSES.search(head):
            self._transport.close()
        else:
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """Counts a request without an answer."""
        if self._since:
            self._tally.reset += 1
        self._ended.set_result(None)


async def load(port: int, connections: int, requests: Callable[[], bytes | None], *, again: bool = True) -> Tally:
    """Keeps connections busy until `requests` returns None; one that the server ends is made again."""
    tally, loop = Tally(), asyncio.get_running_loop()

    async def one() -> None:
        while True:
            ended = loop.create_future()
            client = Client(requests, tally, ended)
            try:
                await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
            except OSError:
                return
            await ended
            if not again or requests() is None:
                return
            if client.refused:
                await asyncio.sleep(0.01)

    await asyncio.gather(*(one() for _ in range(connections)))
    return tally


def digits(count: int, *, together: int = 1, side_px: int = 28) -> list[bytes]:
    """Returns requests with digits of MNIST's test set.

    count: of different digits.
    together: in a request; more than one are a form.
    side_px: 28: PNG, dark on light, as they are; more: JPEG, as a camera might see one on paper.
    """
    from PIL import Image

    from hwr_jax.core import idx

    folder = Path(os.environ["HWR_MNIST_DIR"])
    [path] = [p for p in folder.glob("t10k-images*") if p.is_file()][:1]
    images = idx.parse(idx.load(path, 2**30), path, types=tuple(idx.TYPES))[:count]
    made = [*map(_png(Image), images)] if side_px == 28 else [_photograph(Image, one, side_px) for one in images]
    if together == 1:
        return [HEAD % len(content) + content for content in made]
    return [_form(made[first : first + together]) for first in range(0, count - together + 1, together)]


def _form(contents: list[bytes]) -> bytes:
    part = b'--x\r\ncontent-disposition: form-data; name="file"; filename="%d"\r\n\r\n%s\r\n'
    body = b"".join(part % (i, content) for i, content in enumerate(contents)) + b"--x--\r\n"
    return HEAD.replace(b"image/png", b"multipart/form-data; boundary=x") % len(body) + body


def _photograph(pillow, image: np.ndarray, side_px: int) -> bytes:
    """A digit in the middle of shaded paper with the noise of a camera, as JPEG."""
    rng = np.random.default_rng(int(image.sum()))
    ink = np.asarray(pillow.fromarray(image).resize((side_px // 2,) * 2, pillow.Resampling.BICUBIC), np.float32) / 255
    ink = np.pad(ink, side_px // 4)
    light = np.linspace(225, 150, ink.shape[1])
    grey = light * (1 - 0.8 * ink) + rng.normal(0, 4, ink.shape)
    file = io.BytesIO()
    pillow.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB").save(file, "JPEG", quality=85)
    return file.getvalue()


def _png(pillow) -> Callable[[np.ndarray], bytes]:
    def png(image: np.ndarray) -> bytes:
        file = io.BytesIO()
        pillow.fromarray(255 - image).save(file, "PNG")
        return file.getvalue()

    return png


@dataclass
class Running:
    """A server that has started."""

    process: subprocess.Popen
    port: int

    def tree(self) -> list[int]:
        """Its process and those that it has started."""
        found = [self.process.pid]
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                if int(stat.read_text().rpartition(")")[2].split()[1]) in found:
                    found.append(int(stat.parent.name))
        return found

    def resident_mib(self) -> float:
        """Memory of all of them, resident."""
        pages = 0
        for pid in self.tree():
            with contextlib.suppress(OSError):
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def cpu_s(self, *, alone: bool = False) -> float:
        """Processor time of all of them, or of the server's own process alone."""
        ticks = 0
        for pid in [self.process.pid] if alone else self.tree():
            with contextlib.suppress(OSError):
                ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Sends a signal; returns the exit code, and the seconds until the end."""
        start = time.perf_counter()
        self.process.send_signal(number)
        return self.process.wait(60), time.perf_counter() - start


@contextlib.contextmanager
def server(*flags: str) -> Iterator[Running]:
    """A server on a free port, until the end of the block."""
    command = [sys.executable, "-m", "hwr_jax.serve", "--port=0", *flags]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    try:
        for line in process.stderr:
            if found := re.search(r"reading pictures at http://\S+:(\d+)/", line):
                break
            sys.stderr.write(line)
        else:
            raise RuntimeError(f"the server ended with {process.wait()}")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield Running(process, int(found[1]))
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)
