"""Serves a model over HTTP, with a page for the browser: `python -m hwr_jax.serve`."""

from __future__ import annotations

import ipaddress
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hwr_jax.cli import command, flags
from hwr_jax.core import cores, errors, printable
from hwr_jax.web.limits import KEY

if TYPE_CHECKING:
    from hwr_jax.web.pool import StartError

USAGE = """\
Reads pictures that programs and browsers send: POST /v1/predict and /v1/scan answer with the JSON of predict and scan.
Only this machine can reach the server, unless --host says otherwise; then every request needs a key. Pictures are kept
in memory until they are read, and nothing of them is stored or logged. On SIGTERM the server answers what it has
accepted, then exits.
Needs starlette and uvicorn: python -m pip install 'hwr_jax[serve]'

    python -m hwr_jax.serve
    curl -H 'Content-Type: image/png' --data-binary @digit.png http://localhost:8000/v1/predict
    curl -F file=@page.jpg http://localhost:8000/v1/scan
    python -m hwr_jax.serve --workdir=runs/cnn --port=9000    (your own model)
    python -m hwr_jax.serve --host=0.0.0.0 --api_key_file=key.txt
"""
KEY_CHARACTERS = 16  # at least
NEEDED = ("starlette", "uvicorn", "httptools", "prometheus_client", "python_multipart")

FLAGS = flags.Flags()
_HOST = FLAGS.string("host", "127.0.0.1", "The address to listen at; others need a key.", kind="ADDRESS")
_PORT = FLAGS.integer("port", 8000, "The port to listen at; 0: one that is free.", at_least=0)
_KEY_FILE = FLAGS.string(
    "api_key_file", None, f"File with the key that requests must carry; default: {KEY}, else none.", kind="FILE"
)
_WORKDIR = flags.workdir(FLAGS, without="the model that comes with hwr_jax")
_CHECKPOINT = flags.checkpoint(FLAGS)
_SEED = FLAGS.integer("seed", None, "Use one seed of the run; default: the mean probability of all.")
_PROCESSES = FLAGS.integer(
    "processes", 0, "How many processes read; default: one for each core, or one if it is JAX that reads.", at_least=0
)
_UNBATCHED = FLAGS.boolean("unbatched", "Read each picture by itself, not those that wait together.")
_NO_LOG = FLAGS.boolean("quiet", "Write no line for each request to standard output.")
_PROXY = FLAGS.names("trusted_proxy", [], "Addresses of proxies whose X-Forwarded-For names the client; default: none.")
FLAGS.begin("Limits")
_BODY = FLAGS.number("max_body_mib", 32, "MiB of one request.", at_least=0)
_FILES = FLAGS.integer("max_files", 64, "Files in one request.", at_least=1)
_PIXELS = FLAGS.number("max_mpx", 50, "Millions of pixels of a picture or page.", at_least=0)
_PAGES = FLAGS.integer("max_pages", 20, "Pages that are read of a document.", at_least=1)
_PICTURE = FLAGS.number("max_picture_s", 10, "Seconds until reading a picture or page is given up.", at_least=0)
_HEADER = FLAGS.number("max_header_s", 10, "Seconds in which the headers of a request must arrive.", at_least=0)
_ARRIVE = FLAGS.number("max_body_s", 30, "Seconds in which its body must arrive.", at_least=0)
_IDLE = FLAGS.number("max_idle_s", 75, "Seconds that a connection is kept between requests.", at_least=0)
_CONNECTIONS = FLAGS.integer("max_connections", 1000, "Connections at a time.", at_least=1)
_QUEUE = FLAGS.integer("max_waiting", 256, "Pictures that wait; beyond, the answer is 503.", at_least=1)
_CLIENT = FLAGS.integer("max_per_client", 128, "Pictures of one client; beyond, the answer is 429.", at_least=1)
_HELD = FLAGS.number("max_held_mib", 256, "MiB of all requests at a time; beyond, the answer is 503.", at_least=0)
_MEMORY = FLAGS.number("max_memory_mib", 2048, "MiB that a process may take for reading; 0: any.", at_least=0)
_DRAIN = FLAGS.number("max_drain_s", 30, "Seconds for what was accepted before a signal.", at_least=0)


def main() -> int:
    """Serves until a signal comes; raises Stopped with the exit code, and ConfigError for flags that do not fit."""
    _need_packages()
    from hwr_jax.web import guard, running
    from hwr_jax.web.measures import Measures
    from hwr_jax.web.pool import Pool, StartError

    key = _key()
    if key is None and not guard.is_loopback(_HOST.value):
        raise errors.ConfigError(
            f"--host={_HOST.value} can be reached from other machines, so requests need a key: put one of "
            f"{KEY_CHARACTERS} or more characters into --api_key_file or {KEY}"
        )
    if _PORT.value > 65535:
        raise errors.ConfigError(f"--port={_PORT.value} is not possible: use a number from 0 to 65535")
    proxies = _proxies()
    folder = None if _WORKDIR.value is None else command.folder("workdir", _WORKDIR.value)
    model = {"workdir": folder and str(folder), "checkpoint": _CHECKPOINT.value or "", "seed": _SEED.value}
    limits, measures = _limits(), Measures()
    is_jax = reads_with_jax(folder, _CHECKPOINT.value, _SEED.value)
    processes = _PROCESSES.value or (1 if is_jax else cores.available())
    pool = Pool(model, limits, measures, processes=processes, batching=not _UNBATCHED.value)
    own = running.listening(_HOST.value, _PORT.value)
    try:
        running.serve(
            own,
            pool,
            limits,
            measures,
            key=key,
            proxies=proxies,
            log=None if _NO_LOG.value else running.write_line,
            say=_say,
            where=running.url(own, _HOST.value),
        )
    except StartError as error:
        return _not_started(error)
    return errors.DONE


def _not_started(error: StartError) -> int:
    """Returns the exit code of a server whose reading process did not start; says why, unless that process has."""
    if error.code in errors.MEANING and error.code not in (errors.DONE, errors.DIFFERENT):
        return error.code
    _say(str(error))
    return errors.INTERNAL


def _say(words: str) -> None:
    print(f"hwr_jax: {words}", file=sys.stderr, flush=True)


def reads_with_jax(folder: Path | None, checkpoint: str | None, seed: int | None) -> bool:
    """Whether JAX reads, which computes on all cores: a run, or one state of it. An exported file needs none."""
    if folder is None:
        return bool(checkpoint) or seed is not None
    from hwr_jax.inference import onnx_reader  # NumPy, which this process needs for nothing else

    return not onnx_reader.is_exported(folder)


def _need_packages() -> None:
    """Raises ConfigError if what the server needs is not installed."""
    import importlib.util

    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise errors.ConfigError(
            f"the server needs {', '.join(missing)}, which is not installed: python -m pip install 'hwr_jax[serve]'"
        )


def _key() -> str | None:
    """The key that requests must carry: that of the file, or of the environment. Raises ConfigError, OSError."""
    if _KEY_FILE.value is not None:
        key, where = Path(_KEY_FILE.value).expanduser().read_text("utf-8", "replace").strip(), _KEY_FILE.value
    elif KEY in os.environ:
        key, where = os.environ[KEY].strip(), KEY
    else:
        return None
    if len(key) < KEY_CHARACTERS or not key.isascii() or not key.isprintable() or " " in key:
        raise errors.ConfigError(
            f"{printable.line(where)} holds no key: use {KEY_CHARACTERS} or more ASCII characters without spaces"
        )
    return key


def _proxies() -> str:
    """The addresses of --trusted_proxy. Raises ConfigError: uvicorn would never trust what is no address."""
    for one in _PROXY.value:
        try:
            ipaddress.ip_network(one)
        except ValueError:
            raise errors.ConfigError(
                f"--trusted_proxy={one} is no address: use one such as 10.0.0.2, or a network such as 10.0.0.0/8"
            ) from None
    return ",".join(_PROXY.value)


def _limits():
    from hwr_jax.web.limits import MIB, Limits

    return Limits(
        body_bytes=int(MIB * _BODY.value),
        files=_FILES.value,
        pixels=int(1e6 * _PIXELS.value),
        pages=_PAGES.value,
        picture_s=_PICTURE.value,
        header_s=_HEADER.value,
        body_s=_ARRIVE.value,
        idle_s=_IDLE.value,
        connections=_CONNECTIONS.value,
        queue=_QUEUE.value,
        per_client=_CLIENT.value,
        held_bytes=int(MIB * _HELD.value),
        memory_bytes=int(MIB * _MEMORY.value),
        drain_s=_DRAIN.value,
    )


if __name__ == "__main__":
    command.run(main, FLAGS, usage=USAGE)
