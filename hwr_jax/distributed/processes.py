"""Many processes as one job: starting, agreeing, ending. Owns jax.distributed; a single process pays nothing for it.

Process 0, the main process, writes the run folder and prints; all processes compute, and each writes its part of a
checkpoint. They compare at the start whatever could differ between them. If one fails, it exits at once, and the others
follow.
"""

from __future__ import annotations

import errno
import hashlib
import ipaddress
import os
import socket
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from hwr_jax.core.errors import ConfigError, RunFolderError

T = TypeVar("T")
BIND = "JAX_COORDINATOR_BIND_ADDRESS"  # where process 0 listens, if not at the address that the others connect to
HEARTBEAT_S = 30  # seconds without a sign of life after which a process counts as dead, and the others exit
SHUTDOWN_S = 60
SIGN = ".shared-"  # a file that shows whether all processes see the same folder; a kill may leave one behind
OF_ANOTHER = ("gloo", "nccl", "closed by peer", "coordination service", "connection reset by peer")

_many = False


def in_cluster(env: Mapping[str, str]) -> bool:
    """Whether the environment belongs to one of many processes: a Slurm step, Open MPI, a TPU slice with several hosts.

    JAX itself reads the addresses and numbers from it.
    """
    sizes = (env.get("SLURM_STEP_NUM_TASKS"), env.get("OMPI_COMM_WORLD_SIZE"))
    hosts = (env.get("TPU_WORKER_HOSTNAMES", ""), env.get("TPU_PROCESS_ADDRESSES", ""))
    return any(size and size.isdecimal() and int(size) > 1 for size in sizes) or any("," in names for names in hosts)


def start(
    coordinator: str = "",
    processes: int = 0,
    process: int = -1,
    *,
    join: bool = False,
    heartbeat_s: int = HEARTBEAT_S,
    start_s: int = 300,
) -> None:
    """Joins the job that the arguments describe, else the environment, if any. Call it before making any array.

    Args:
      coordinator: HOST:PORT of process 0, which listens there alone: whoever can connect can join, without a
        password. JAX_COORDINATOR_BIND_ADDRESS names another address to listen on. "": from the environment.
      processes: how many the job has.
      process: the number of this one, from 0.
      join: ask JAX for the other processes even if the environment lists none (on TPU VMs the metadata server does).
      heartbeat_s: seconds without a sign of life from a process after which the others exit.
      start_s: seconds to wait for the others at the start.

    Raises:
      ConfigError: the arguments do not fit together, or the address is in use or not one of this machine.
    """
    global _many
    given = (bool(coordinator), processes > 0, process >= 0)
    if not (any(given) or join or in_cluster(os.environ)):
        return
    if any(given) and (not all(given) or process >= processes):
        raise ConfigError(
            f"--coordinator={coordinator!r}, --processes={processes} and --process={process} do not fit together: "
            "give all three, with --process from 0 to one less than --processes"
        )
    if processes == 1:
        return
    bind = None if BIND in os.environ else coordinator or None  # JAX's own default is every interface
    if process == 0 and bind:
        _check_free(coordinator)
    import jax

    jax.config.update("jax_enable_preemption_service", False)  # it would swallow SIGTERM: see `signals.Agreed`
    try:
        jax.distributed.initialize(
            coordinator_address=coordinator or None,
            num_processes=processes or None,
            process_id=process if coordinator else None,
            coordinator_bind_address=bind,
            initialization_timeout=start_s,
            heartbeat_timeout_seconds=heartbeat_s,
            shutdown_timeout_seconds=SHUTDOWN_S,
        )
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"cannot join the processes: {str(error).splitlines()[0]}") from error
    _many = jax.process_count() > 1


def _check_free(address: str) -> None:
    """Raises ConfigError if the address cannot be listened on, which would sometimes crash jaxlib. Says so if a name
    stands for this machine alone, as the own name does in many a hosts file."""
    host, _, port = address.rpartition(":")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            probe.listen()
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise ConfigError(
                f"--coordinator={address} is not an address of this machine, on which process 0 listens: name one, or "
                f"set {BIND} to what to listen on, such as 0.0.0.0:{port}"
            ) from error
        if error.errno in (errno.EADDRINUSE, errno.EACCES) or isinstance(error, socket.gaierror):
            words = error.strerror or error
            raise ConfigError(f"--coordinator={address} cannot be listened on: {words}") from error
        return
    at = str(place[0])
    if ipaddress.ip_address(at.partition("%")[0]).is_loopback and host.strip("[]") not in ("localhost", at):
        print(
            f"hwr_jax: {host} is {at} here, where only processes of this machine can join: for others, name its "
            "address in the network",
            file=sys.stderr,
        )


def many() -> bool:
    """Whether the job has more than one process."""
    return _many


def is_main_process() -> bool:
    """Whether this is the process that writes the run folder and prints."""
    import jax

    return not _many or jax.process_index() == 0


def barrier(name: str) -> None:
    """Waits until every process is here."""
    if _many:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def from_main_process(value: int) -> int:
    """Returns the main process's number, on every process."""
    if not _many:
        return value
    import numpy as np
    from jax.experimental import multihost_utils

    return int(multihost_utils.broadcast_one_to_all(np.int32(value)))


def highest(value: int) -> int:
    """Returns the highest of all processes' numbers, on every process."""
    if not _many:
        return value
    import numpy as np
    from jax.experimental import multihost_utils

    return int(np.max(multihost_utils.process_allgather(np.int32(value))))


def main_process_first(do: Callable[[], T]) -> T:
    """Calls a function on the main process, then on the others, which find its files; returns the function's result."""
    if not is_main_process():
        barrier("main process first")
        return do()
    done = do()
    barrier("main process first")
    return done


def check_same(what: dict[str, str]) -> None:
    """Raises ConfigError, on every process, if a text differs between processes. All must pass the same keys."""
    if not _many:
        return
    import numpy as np
    from jax.experimental import multihost_utils

    own = np.stack([np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8) for text in what.values()])
    everyone = np.asarray(multihost_utils.process_allgather(own))
    different = (everyone != everyone[:1]).any(-1)  # [processes, texts]
    for key, processes in zip(what, different.T, strict=True):
        if processes.any():
            raise ConfigError(
                f"process {int(processes.argmax())} of {len(processes)} has another {key} than process 0: start all "
                "processes with the same command, code and versions"
            )


def check_shared(folder: Path) -> None:
    """Raises RunFolderError, on every process, unless all see the same folder: every process writes checkpoints."""
    if not _many:
        return
    import numpy as np
    from jax.experimental import multihost_utils

    sign = np.frombuffer(uuid.uuid4().bytes, np.uint8)
    sign = np.asarray(multihost_utils.broadcast_one_to_all(sign))
    path = folder / f"{SIGN}{sign.tobytes().hex()}"
    if is_main_process():
        path.touch()
    barrier("shared folder: written")
    seen = multihost_utils.process_allgather(np.int32(path.exists()))
    barrier("shared folder: seen")
    if is_main_process():
        path.unlink()
    if not np.all(seen):
        raise RunFolderError(
            f"process {int(np.argmin(seen))} does not see the folder {folder}: put it on a shared disk"
        )


def is_of_another(error: BaseException) -> bool:
    """Whether an error only means that another process has ended."""
    return _many and any(words in str(error).lower() for words in OF_ANOTHER)


def end() -> None:
    """Leaves the job, together with all other processes."""
    global _many
    if _many:
        import jax

        jax.distributed.shutdown()
        _many = False
