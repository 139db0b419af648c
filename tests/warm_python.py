"""Starts commands in a Python that has already imported the libraries: each is a process of its own, forked, not begun.

Importing JAX, flax, orbax and matplotlib costs a command three seconds, and the suite runs a hundred commands. One
server imports them once (it starts no JAX backend, and imports nothing of hwr_jax), and forks for each command. The
command has its own arguments, environment, folder and output, imports hwr_jax itself, and ends as any Python does.

A command's figures are laid out but not drawn, unless the test asks for them: a file of one byte stands for each.

What a library reads from the environment while it is imported is the server's: a command whose JAX_* or PYTHON*
variables differ needs a fresh interpreter.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

LIBRARIES = (
    "jax", "jax.extend", "jax.experimental.multihost_utils", "flax.linen", "optax", "orbax.checkpoint",
    "matplotlib.figure", "matplotlib.backends.backend_agg", "PIL.Image", "rich.console", "rich.progress", "rich.table",
    "absl.flags", "ml_collections.config_flags", "tensorboardX",
)  # fmt: skip
AT_IMPORT = ("JAX_", "PYTHON")  # variables that libraries read while they are imported


class Server:
    """A warm Python, for commands one at a time."""

    def __init__(self, env: dict[str, str]):
        self.env = env
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            line = [sys.executable, __file__, str(theirs.fileno())]
            self.process = subprocess.Popen(line, env=env, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        self.socket = ours

    def fits(self, env: dict[str, str]) -> bool:
        """Whether a command with this environment would find its libraries as it would import them itself."""
        read = [{k: v for k, v in e.items() if k.startswith(AT_IMPORT)} for e in (env, self.env)]
        return read[0] == read[1]

    def run(self, module: str, arguments: list[str], *, env: dict[str, str], cwd: Path, timeout: float, figures: bool):
        """Returns the finished process of `python -m MODULE ARGUMENTS`, as `subprocess.run` does."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as request:
            request.write(json.dumps([module, arguments, env, str(cwd), figures]).encode())
            request.seek(0)
            socket.send_fds(self.socket, [b"run"], [f.fileno() for f in (request, out, err)])
            pid = int(self.socket.recv(100))
            self.socket.settimeout(timeout)
            late = False
            try:
                code = int(self.socket.recv(100))
            except TimeoutError:
                late = True
                os.kill(pid, signal.SIGKILL)
                self.socket.settimeout(None)
                code = int(self.socket.recv(100))
            finally:
                self.socket.settimeout(None)
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode())
        line = [sys.executable, "-m", module, *arguments]
        if late:
            raise subprocess.TimeoutExpired(line, timeout, *texts)
        return subprocess.CompletedProcess(line, code, *texts)

    def close(self) -> None:
        """Ends the server."""
        self.socket.close()
        self.process.wait(timeout=60)


def serve(connection: socket.socket) -> tuple[str, list[str]] | None:
    """Answers requests with a process id and then an exit code; returns in each command's own process, and at the end.

    Returns:
        (module, arguments) in the process of a command; None in the server, when the other side has closed.
    """
    while True:
        word, files, _, _ = socket.recv_fds(connection, 100, 3)
        if not word:
            return None
        pid = os.fork()
        if pid == 0:
            connection.close()
            return become(*files)
        for file in files:
            os.close(file)
        connection.send(str(pid).encode())
        connection.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


def draw() -> None:
    """Draws a figure for nobody: the first one of a process loads the fonts, and lays out the powers of ten slowly."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot([1, 2, 3], [0.001, 0.1, 10], label="a line")
    axes.set(title="title", yscale="log")
    axes.legend()
    figure.savefig(io.BytesIO())


def become(request: int, out: int, err: int) -> tuple[str, list[str]]:
    """Gives this process all that the command has of its own; returns its module and arguments."""
    with os.fdopen(request, "rb") as file:
        module, arguments, env, cwd, figures = json.loads(file.read())
    if not figures:
        from matplotlib.figure import Figure

        Figure.savefig = lambda self, path, **options: Path(path).write_bytes(b"-")
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.path[0] = cwd  # as of `python -m`
    return module, arguments


if __name__ == "__main__":
    import package_coverage

    package_coverage.start()
    package_coverage.prepare()
    for library in LIBRARIES:
        importlib.import_module(library)
    draw()
    if command := serve(socket.socket(fileno=int(sys.argv[1]))):
        name, sys.argv[1:] = command
        runpy.run_module(name, run_name="__main__", alter_sys=True)
