"""The queue and the processes that read: batches, the limit of time, crashes, and what is refused."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from hwr_jax.web import pool as pools
from hwr_jax.web.limits import Limits
from hwr_jax.web.measures import Measures


@pytest.fixture(autouse=True)
def _slow_worker(monkeypatch):
    monkeypatch.setattr(pools, "WORKER", "slow_worker")
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr(pools, "STEP_S", 0.0)


def try_on(work, *, processes=1, batching=True, options=None, **limits):
    """Runs work(pool), with processes that have started."""

    async def run():
        made = pools.Pool(
            options or {}, Limits()._replace(**limits), Measures(), processes=processes, batching=batching
        )
        made.start()
        try:
            while made.ready < processes:
                await asyncio.sleep(0.01)
            return await asyncio.wait_for(work(made), 30)
        finally:
            await made.close()

    return asyncio.run(run())


async def read(pool, *contents, kind="predict", **options):
    """What is said of pictures named 0, 1, ..., each asked for by itself."""
    pictures = [[(str(i), content)] for i, content in enumerate(contents)]
    found = await asyncio.gather(*(pool.read(kind, options, one) for one in pictures))
    return [json.loads(one.text) for [one] in found]


@pytest.mark.parametrize(("batching", "most"), [(True, 64), (False, 1)])
def test_pictures_that_wait_are_read_together_and_answered_each_with_its_own(batching, most):
    found = try_on(lambda pool: read(pool, b"sleep0.2", *[b""] * 99), batching=batching)
    assert [one["image"] for one in found] == [str(i) for i in range(100)]
    assert max(one["together"] for one in found) == most


def test_pictures_with_other_options_or_many_bytes_are_not_read_together():
    async def work(pool):
        first = asyncio.create_task(pool.read("predict", {}, [("a", b"sleep0.2")]))
        await asyncio.sleep(0.05)
        later = [pool.read("predict", {"best": best}, [("b", b"")]) for best in (1, 1, 2)]
        large = [pool.read("predict", {"best": 2}, [("c", b" " * (pools.MOST_BYTES + 1))])]
        found = await asyncio.gather(*later, *large)
        await first
        return [json.loads(one.text)["together"] for [one] in found]

    assert try_on(work) == [2, 2, 1, 1]


def test_a_picture_that_takes_too_long_is_given_up_and_those_beside_it_are_read():
    async def work(pool):
        first = asyncio.create_task(pool.read("predict", {}, [("a", b"sleep0.1")]))
        await asyncio.sleep(0.02)
        start = time.monotonic()
        found = await asyncio.gather(*(pool.read("predict", {}, [(n, c)]) for n, c in [("b", b""), ("c", b"sleep60")]))
        await first
        return [one for [one] in found], time.monotonic() - start, pool.measures.text().decode()

    (good, bad), took, counters = try_on(work, picture_s=1.0)
    assert good.is_read
    assert not bad.is_read
    assert json.loads(bad.text) == {"image": "c", "error": "c: reading it takes longer than the 1 s allowed"}
    assert took < 20
    assert "hwr_processes_replaced_total 2.0" in counters


def test_a_picture_that_ends_its_process_costs_itself_alone():
    async def work(pool):
        found = await asyncio.gather(
            *(pool.read("predict", {}, [(str(i), c)]) for i, c in enumerate([b"sleep0.1", b"", b"crash", b""]))
        )
        again = await pool.read("predict", {}, [("4", b"")])
        return [one for [one] in found] + again

    found = try_on(work)
    assert [one.is_read for one in found] == [True, True, False, True, True]
    assert json.loads(found[2].text)["error"] == "2: the process that read it ended (signal 11)"


def test_memory_is_named_only_where_it_was_too_little():
    found = try_on(lambda pool: read(pool, b"exit71", b"exit3"))
    assert [one["error"] for one in found] == [
        "0: reading it needs more memory than is allowed",
        "1: the process that read it ended (exit code 3)",
    ]


def test_pages_that_were_read_before_one_that_takes_too_long_stay():
    found = try_on(lambda pool: pool.read("scan", {}, [("a", b"pages")]), picture_s=0.5)
    assert [(one.is_read, json.loads(one.text)["page"]) for one in found] == [(True, 1), (False, 2)]
    why = "a, page 2: reading it takes longer than the 0.5 s allowed; later pages were not read"
    assert json.loads(found[1].text)["error"] == why


def test_one_process_reads_in_the_order_in_which_pictures_came():
    async def work(pool):
        order = []

        async def one(kind, name):
            await pool.read(kind, {}, [(name, b"sleep0.05")])
            order.append(name)

        await asyncio.gather(*(one(kind, f"{kind}{i}") for i in range(3) for kind in ("scan", "predict")))
        return order

    assert try_on(work, batching=False) == [f"{kind}{i}" for i in range(3) for kind in ("scan", "predict")]


def test_the_processes_do_not_get_the_key(monkeypatch):
    from hwr_jax import serve

    monkeypatch.setenv(serve.KEY, "0123456789abcdef")
    [found] = try_on(lambda pool: read(pool, b""))
    assert found["key"] is None


def test_of_several_processes_one_reads_digits_alone():
    async def work(pool):
        pages = [asyncio.create_task(pool.read("scan", {}, [(str(i), b"sleep1")])) for i in range(3)]
        await asyncio.sleep(0.1)
        start = time.monotonic()
        await pool.read("predict", {}, [("a", b"")])
        took = time.monotonic() - start
        done = [page.done() for page in pages]
        await asyncio.gather(*pages)
        return took, done

    took, done = try_on(work, processes=2)
    assert done == [False] * 3
    assert took < 0.9


def test_what_does_not_fit_into_the_queue_is_refused_whole():
    async def work(pool):
        held = asyncio.create_task(pool.read("scan", {}, [("a", b"sleep0.3")]))
        await asyncio.sleep(0.1)
        waiting = asyncio.create_task(pool.read("scan", {}, [("b", b"")] * 2))
        await asyncio.sleep(0.05)
        with pytest.raises(pools.Full):
            await pool.read("predict", {}, [("c", b"")] * 2)
        await asyncio.gather(held, waiting)
        return len(await pool.read("predict", {}, [("c", b"")] * 3))

    assert try_on(work, queue=3) == 3


def test_what_a_client_that_has_gone_was_waiting_for_is_not_read():
    async def work(pool):
        held = asyncio.create_task(pool.read("predict", {}, [("a", b"sleep0.3")]))
        await asyncio.sleep(0.1)
        gone = asyncio.create_task(pool.read("predict", {}, [("b", b"crash")]))
        await asyncio.sleep(0.05)
        gone.cancel()
        await held
        [last] = await pool.read("predict", {}, [("c", b"")])
        return last.is_read, pool.measures.text().decode()

    is_read, counters = try_on(work)
    assert is_read
    assert "hwr_processes_replaced_total 0.0" in counters


def test_a_process_that_does_not_start_is_an_error_with_its_exit_code():
    async def run():
        made = pools.Pool({"ends": True}, Limits(), Measures(), processes=1, batching=True)
        [task] = made.start()
        try:
            await task
        finally:
            await made.close()

    with pytest.raises(pools.StartError) as caught:
        asyncio.run(run())
    assert caught.value.code == 66


@pytest.mark.parametrize(
    ("code", "exits", "said"),
    [
        (66, 66, ""),  # the process itself says why
        (1, 70, "hwr_jax: a reading process did not start: exit code 1\n"),
        (-9, 70, "hwr_jax: a reading process did not start: signal 9\n"),
        (None, 70, "hwr_jax: a reading process did not start: no answer in 300 s\n"),
    ],
)
def test_a_server_whose_process_does_not_start_ends_with_a_code_and_a_sentence(monkeypatch, capsys, code, exits, said):
    from hwr_jax import serve
    from hwr_jax.web import running

    def fails(own, *_, **__):
        own.close()
        raise pools.StartError(code)

    monkeypatch.setattr(running, "serve", fails)
    serve.FLAGS(["serve", "--port=0"])
    assert (serve.main(), capsys.readouterr().err) == (exits, said)
