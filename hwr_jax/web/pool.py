"""The pictures that wait, and the processes that read them. Owns the queue, the batches and the limit of time.

Pictures that wait are read together, up to `MOST` of them and without waiting for more: under load a batch is large, of
one picture alone it is that one. A process that takes too long with a picture, or ends, is replaced; the pictures that
it had in hand are read again one at a time, so that each costs itself alone.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import json
import os
import signal
import sys
from typing import Any, NamedTuple

from hwr_jax.core import cores, errors
from hwr_jax.web import frames
from hwr_jax.web.limits import KEY, NO_MEMORY, Limits
from hwr_jax.web.measures import Measures

MOST, MOST_BYTES = 64, 2**20  # pictures in a batch, and their bytes: photographs are not read beside 60 digits
STEP_S = 0.5  # between two signs of life of a process; it gives them at every picture
START_S = 300.0  # until a process has loaded, and compiled, its model
MOST_STARTS = 3  # in a row that may fail
WORKER = "hwr_jax.web.worker"


class Full(Exception):
    """Too many pictures wait."""


class Reading(NamedTuple):
    """What was read in a picture, or in a page of it."""

    is_read: bool
    text: bytes  # JSON: what was read, or {"image", "error"}


class Job:
    """A picture that waits, or is being read."""

    __slots__ = ("content", "done", "key", "kind", "name", "number", "options", "readings")

    def __init__(
        self, kind: str, options: dict[str, Any], name: str, content: bytes, done: asyncio.Future[None], number: int
    ):
        self.number = number  # in the order in which pictures came
        self.kind, self.options, self.name, self.content, self.done = kind, options, name, content, done
        self.key = (kind, *options.values())  # pictures with the same one may be read together
        self.readings: list[Reading] = []


class StartError(Exception):
    """A process that reads did not start; `code` is its exit code, or None if it did not answer in time."""

    def __init__(self, code: int | None):
        why = f"no answer in {START_S:g} s" if code is None else _ending(code)
        super().__init__(f"a reading process did not start: {why}")
        self.code = code


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


class Pool:
    """Processes that read, and what waits for them. Belongs to one event loop."""

    def __init__(self, model: dict[str, Any], limits: Limits, measures: Measures, *, processes: int, batching: bool):
        """model: what `worker.main` takes of it."""
        self.limits, self.measures = limits, measures
        self.facts: dict[str, Any] = {}  # of the model, once a process is ready
        self.ready = 0  # processes that have their model
        own = {"pixels": limits.pixels, "pages": limits.pages, "memory_bytes": limits.memory_bytes}
        self._line = json.dumps(model | own | {"threads": max(1, cores.available() // processes)})
        self._most = MOST if batching else 1
        self._count = processes
        self._waiting: dict[str, collections.deque[Job]] = {
            k: collections.deque() for k in ("alone", "predict", "scan")
        }
        self._numbers = itertools.count()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._processes: set[_Process] = set()

    @property
    def waiting(self) -> int:
        """How many pictures wait."""
        return sum(map(len, self._waiting.values()))

    def start(self) -> list[asyncio.Task[None]]:
        """Starts the processes; returns a task for each, which ends with StartError if its process does not start."""
        self._tasks = [asyncio.create_task(self._keep_reading(number)) for number in range(self._count)]
        return self._tasks

    async def close(self) -> None:
        """Ends the processes."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for process in list(self._processes):  # whose end was interrupted
            await process.end()

    async def read(self, kind: str, options: dict[str, Any], pictures: list[tuple[str, bytes]]) -> list[Reading]:
        """Reads pictures (names and contents); returns what is read in each, in order. A document has several pages.

        Raises:
          Full: there is no room for all of them in the queue.
        """
        if self.waiting + len(pictures) > self.limits.queue:
            raise Full
        loop = asyncio.get_running_loop()
        jobs = [
            Job(kind, options, name, content, loop.create_future(), next(self._numbers)) for name, content in pictures
        ]
        self._waiting[kind].extend(jobs)
        self._wake.set()
        try:
            for job in jobs:
                await job.done
        finally:
            for job in jobs:
                job.done.cancel()  # of a client that has gone: what still waits is not read
        return [reading for job in jobs for reading in job.readings]

    def _next(self, number: int) -> list[Job]:
        """Takes the pictures that process `number` reads next: of the kind whose first has waited longest. The first of
        several processes reads no pages: they take longer, and digits must not wait for all of them."""
        digits = self._waiting["predict"]
        queues = [digits] if number == 0 and self._count > 1 else list(self._waiting.values())
        for queue in queues:
            while queue and queue[0].done.done():  # of a client that has gone
                queue.popleft()
        queue = min((one for one in queues if one), key=lambda one: one[0].number, default=None)
        batch: list[Job] = []
        left = MOST_BYTES
        while queue and len(batch) < (self._most if queue is digits else 1):
            job = queue[0]
            if batch and (job.key != batch[0].key or len(job.content) > left):
                break
            queue.popleft()
            if not job.done.done():
                left -= len(job.content)
                batch.append(job)
        return batch

    async def _keep_reading(self, number: int) -> None:
        """Reads with one process after the other."""
        failed = 0
        while True:
            process = await _Process.start(self._line)
            self._processes.add(process)
            try:
                async with asyncio.timeout(START_S):
                    head, _ = await process.receive()
            except (asyncio.IncompleteReadError, TimeoutError) as error:
                failed += 1
                code = await self._end(process)
                code = None if isinstance(error, TimeoutError) else code
                if failed == MOST_STARTS or not self.facts:
                    raise StartError(code) from None
                continue
            except BaseException:
                await self._end(process)
                raise
            failed, self.facts = 0, head["ready"]
            self.ready += 1
            try:
                await self._read_with(process, number)
            finally:
                self.ready -= 1
                await self._end(process)

    async def _end(self, process: _Process) -> int:
        code = await process.end()
        self._processes.discard(process)
        return code

    async def _read_with(self, process: _Process, number: int) -> None:
        """Reads until the process ends, or has to be ended."""
        while True:
            while not (batch := self._next(number)):
                self._wake.clear()
                await self._wake.wait()
            self.measures.batch.observe(len(batch))
            try:
                await self._answer(process, batch)
            except TimeoutError:
                self._give_up(batch, f"reading it takes longer than the {self.limits.picture_s:g} s allowed")
                return
            except (OSError, asyncio.IncompleteReadError):
                code = await self._end(process)
                has_room = code != errors.OUT_OF_MEMORY
                ended = f"the process that read it ended ({_ending(code)})"
                self._give_up(batch, ended if has_room else NO_MEMORY)
                return

    async def _answer(self, process: _Process, batch: list[Job]) -> None:
        """Has a batch read. Raises TimeoutError, OSError or IncompleteReadError if the process has to be replaced."""
        pictures = [(job.name, len(job.content)) for job in batch]
        head = {"kind": batch[0].kind, "options": batch[0].options, "pictures": pictures}
        await process.send(head, [job.content for job in batch])
        done = False
        while not done:
            async with asyncio.timeout(self.limits.picture_s + STEP_S):
                head, texts = await process.receive()
            done = head["done"]
            for (index, is_read, _), text in zip(head["items"], texts, strict=True):
                batch[index].readings.append(Reading(is_read, text))
        for job in batch:
            if not job.done.done():
                job.done.set_result(None)

    def _give_up(self, batch: list[Job], why: str) -> None:
        """Reads each picture of a batch again by itself; of one that was by itself, says why it could not be read.

        Pages of it that were read before stay: each is one reading.
        """
        self.measures.replaced.inc()
        if len(batch) > 1:
            for job in batch:
                job.readings.clear()
            self._waiting["alone"].extend(batch)
            self._wake.set()
            return
        [job] = batch
        said: dict[str, Any] = {"image": job.name, "error": f"{job.name}: {why}"}
        if job.readings:
            page = len(job.readings) + 1
            said |= {"page": page, "error": f"{job.name}, page {page}: {why}; later pages were not read"}
        job.readings.append(Reading(False, json.dumps(said).encode()))
        if not job.done.done():
            job.done.set_result(None)


class _Process:
    """A process that reads."""

    def __init__(self, process: asyncio.subprocess.Process):
        self._process = process
        assert process.stdin
        assert process.stdout
        self._stdin, self._stdout = process.stdin, process.stdout
        self._code: int | None = None  # once it was ended

    @classmethod
    async def start(cls, line: str) -> _Process:
        # It finds the package where this process did, and nothing in the current directory.
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"}
        env.pop(KEY, None)  # no process that reads pictures gets it
        command = [sys.executable, "-P", "-m", WORKER, line]
        pipe = asyncio.subprocess.PIPE
        made = await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, env=env, start_new_session=True, limit=frames.MOST_LINE
        )
        return cls(made)

    async def send(self, head: dict[str, Any], blobs: list[bytes]) -> None:
        self._stdin.write(frames.packed(head, blobs))
        await self._stdin.drain()

    async def receive(self) -> tuple[dict[str, Any], list[bytes]]:
        """Waits for a message. Raises IncompleteReadError if the process has ended."""
        head = json.loads(await self._stdout.readuntil(b"\n"))
        ends = list(itertools.accumulate(frames.sizes(head)))
        blobs = await self._stdout.readexactly(ends[-1]) if ends else b""
        return head, [blobs[first:end] for first, end in itertools.pairwise([0, *ends])]

    async def end(self) -> int:
        """Ends the process, if it has not ended, and those that it has started; returns its exit code."""
        if self._code is not None:
            return self._code
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._code = await self._process.wait()
        self._process._transport.close()  # ty: ignore  # its pipes, which asyncio would close too late
        return self._code
