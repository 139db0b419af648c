"""Starts commands in a Python that has already imported the libraries: each is a process of its own, forked, not begun.

Importing JAX, flax, orbax, matplotlib and SciPy costs a command four seconds, and the suite runs hundreds of commands.
A server imports them once, and forks for each command. The command has its own arguments, environment, folder and
output, imports hwr_jax itself, and ends as any Python does. The server starts no JAX backend. Of hwr_jax it has loaded
`workdir.codebase` alone, and parsed the sources, which takes half a second: what has not changed is not parsed again.

A command's figures are laid out but not drawn, unless the test asks for them: a file of one byte stands for each.

What a library reads from the environment while it is imported is the server's: a command whose JAX_* or PYTHON*
variables differ needs a fresh interpreter.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import io
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import types
from pathlib import Path

import package_coverage

LIBRARIES = (
    "jax", "jax.extend", "jax.experimental.multihost_utils", "jax.experimental.custom_partitioning",
    "jaxlib.mlir.dialects.mhlo", "jaxlib.mlir.dialects.builtin", "flax.linen", "optax", "orbax.checkpoint",
    "matplotlib.figure", "matplotlib.backends.backend_agg", "PIL.Image", "rich.console", "rich.progress", "rich.table",
    "absl.flags", "ml_collections.config_flags", "tensorboardX", "scipy.ndimage", "scipy.stats", "sklearn.datasets",
)  # fmt: skip
AT_IMPORT = ("JAX_", "PYTHON")  # variables that libraries read while they are imported


class Process:
    """A command that runs, with the methods of `subprocess.Popen` that tests need."""

    def __init__(self, server: Server, line: list[str], request: bytes):
        self.args, self.returncode, self._socket = line, None, server.socket
        self._files = [tempfile.TemporaryFile(), tempfile.TemporaryFile()]  # noqa: SIM115 -- closed by `communicate` and `kill`
        with tempfile.TemporaryFile() as asked:
            asked.write(request)
            asked.seek(0)
            socket.send_fds(self._socket, [b"run"], [f.fileno() for f in (asked, *self._files)])
            self.pid = int(self._socket.recv(100))

    def poll(self) -> int | None:
        """Returns the exit code, or None while the command runs."""
        return self._exit_code(0)

    def wait(self, timeout: float | None = None) -> int:
        """Returns the exit code; TimeoutExpired if there is none in time."""
        if self._exit_code(timeout) is None:
            raise subprocess.TimeoutExpired(self.args, timeout, *self.said())
        return self.returncode

    def communicate(self, timeout: float | None = None) -> list[str]:
        """Waits; returns what the command wrote to standard output and error."""
        self.wait(timeout)
        texts = self.said()
        self._close()
        return texts

    def said(self) -> list[str]:
        """What the command has written to standard output and error until now."""
        return [os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode() for file in self._files]

    def first_line(self, timeout: float = 120) -> str:
        """Waits for the first line on standard output; returns it, or what there is when the command has ended."""
        deadline = time.monotonic() + timeout
        while "\n" not in (text := self.said()[0]) and self.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        return text.partition("\n")[0]

    def send_signal(self, number: int) -> None:
        """Sends a signal, if the command still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends the command at once, if it still runs, and forgets what it wrote."""
        self.send_signal(signal.SIGKILL)
        self.wait()
        self._close()

    def _close(self) -> None:
        for file in self._files:
            file.close()
        self._files = []

    def _exit_code(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._socket], [], [], timeout)[0]:
            self.returncode = int(self._socket.recv(100))
        return self.returncode


class Server:
    """A warm Python, for commands one at a time; `Pool` has several."""

    def __init__(self, env: dict[str, str]):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            line = [sys.executable, __file__, str(theirs.fileno())]
            self.process = subprocess.Popen(line, env=env, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        self.socket, self.last = ours, None

    def free(self) -> bool:
        """Whether its last command has ended."""
        return self.last is None or self.last.poll() is not None

    def close(self) -> None:
        """Ends the server."""
        self.socket.close()
        self.process.wait(timeout=60)


class Pool:
    """Warm Pythons: as many as there are commands at once."""

    def __init__(self, env: dict[str, str]):
        self.env, self.servers = env, []

    def fits(self, env: dict[str, str]) -> bool:
        """Whether a command with this environment would find its libraries as it would import them itself."""
        read = [{k: v for k, v in e.items() if k.startswith(AT_IMPORT)} for e in (env, self.env)]
        return read[0] == read[1]

    def start(self, module: str, arguments: list[str], *, env: dict[str, str], cwd: Path, figures=False) -> Process:
        """Starts `python -m MODULE ARGUMENTS`, as `subprocess.Popen` does, but in a process group of its own."""
        server = next((server for server in self.servers if server.free()), None)
        if server is None:
            self.servers.append(server := Server(self.env))
        request = json.dumps([module, arguments, env, str(cwd), figures]).encode()
        server.last = Process(server, [sys.executable, "-m", module, *arguments], request)
        return server.last

    def run(self, module: str, arguments: list[str], *, timeout: float, **options) -> subprocess.CompletedProcess:
        """Returns the finished process of `python -m MODULE ARGUMENTS`, as `subprocess.run` does."""
        process = self.start(module, arguments, **options)
        try:
            texts = process.communicate(timeout)
        except BaseException:
            process.kill()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, *texts)

    def close(self) -> None:
        """Ends the servers."""
        for server in self.servers:
            server.close()


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
            os.setpgid(0, 0)
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
    sys.modules["hwr_jax.workdir.codebase"] = CODEBASE
    if not figures:
        from matplotlib.figure import Figure

        Figure.savefig = lambda self, file, **options: file.write(b"-")  # `canvas.save` draws into memory
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


def load_codebase() -> types.ModuleType:
    """Returns hwr_jax.workdir.codebase, which has parsed the sources, without importing the package."""
    path = package_coverage.PACKAGE / "workdir" / "codebase.py"
    spec = importlib.util.spec_from_file_location("hwr_jax.workdir.codebase", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.digest(package_coverage.PACKAGE)
    return module


if __name__ == "__main__":
    package_coverage.start()
    package_coverage.prepare()
    for library in LIBRARIES:
        importlib.import_module(library)
    draw()
    CODEBASE = load_codebase()
    gc.collect()
    gc.freeze()  # no command looks through what is here already, neither while it runs nor at its end
    if command := serve(socket.socket(fileno=int(sys.argv[1]))):
        name, sys.argv[1:] = command
        runpy.run_module(name, run_name="__main__", alter_sys=True)
