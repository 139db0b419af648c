"""Many processes as one job: starting, agreeing, ending. Owns jax.distributed; one process pays nothing for it.

Process 0, the lead, writes the run folder and speaks; all compute, and all write their part of a checkpoint. Whatever
could differ between processes is compared at the start; one that fails ends at once, and the others with it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import socket
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from hwr_jax.core.errors import ConfigError, RunFolderError

T = TypeVar("T")
LOCAL = ("localhost", "127.0.0.1", "[::1]")
HEARTBEAT_S = 30  # after so long without a sign of life a process counts as dead, and the others end
SHUTDOWN_S = 60
SIGN = ".shared-"  # a file that tells whether all see the same folder; a kill may leave one
OF_ANOTHER = ("gloo", "nccl", "closed by peer", "coordination service", "connection reset by peer")

_many = False


def in_cluster(env: Mapping[str, str]) -> bool:
    """Whether the environment is that of one process of many: a Slurm step, Open MPI, a TPU slice that names its hosts.

    What it says (addresses, numbers) is for JAX's own detection.
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
    """Joins the job, if there is one: that of the arguments, else that of the environment. Before any array is made.

    Args:
      coordinator: HOST:PORT of process 0; "": as the environment says.
      processes: of the whole job.
      process: which of them this is, from 0.
      join: ask JAX for the others also where the environment names none: on TPU VMs its metadata server does.
      heartbeat_s: after so long without a sign of life of a process the others end.
      start_s: how long the others are waited for at the start.

    Raises:
      ConfigError: arguments that do not fit, or the address is taken.
    """
    global _many
    given = (bool(coordinator), processes > 0, process >= 0)
    if not (any(given) or join or in_cluster(os.environ)):
        return
    if any(given) and (not all(given) or process >= processes):
        raise ConfigError(
            f"--coordinator={coordinator!r}, --processes={processes} and --process={process} do not fit: give all "
            "three, --process from 0 to one less than --processes"
        )
    if processes == 1:
        return
    if process == 0 and "JAX_COORDINATOR_BIND_ADDRESS" not in os.environ:
        _check_free(coordinator)
    import jax

    jax.config.update("jax_enable_preemption_service", False)  # it would swallow SIGTERM: see `signals.Agreed`
    host = coordinator.rpartition(":")[0]
    try:
        jax.distributed.initialize(
            coordinator_address=coordinator or None,
            num_processes=processes or None,
            process_id=process if coordinator else None,
            coordinator_bind_address=coordinator if host in LOCAL else None,  # the default is every interface
            initialization_timeout=start_s,
            heartbeat_timeout_seconds=heartbeat_s,
            shutdown_timeout_seconds=SHUTDOWN_S,
        )
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"the processes cannot be joined: {str(error).splitlines()[0]}") from error
    _many = jax.process_count() > 1


def _check_free(address: str) -> None:
    """Raises ConfigError where nothing can listen, of which jaxlib would make a segmentation fault now and then."""
    host, _, port = address.rpartition(":")
    for own in (host.strip("[]"),) if host in LOCAL else ("0.0.0.0", "::"):  # as JAX does
        try:
            family, kind, protocol, _, place = socket.getaddrinfo(own, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                trial.bind(place)
                trial.listen()
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES) or isinstance(error, socket.gaierror):
                words = error.strerror or error
                raise ConfigError(f"--coordinator={address} cannot be listened at: {words}") from error


def many() -> bool:
    """Whether there is more than one process."""
    return _many


def is_main_process() -> bool:
    """Whether this is the process that writes and speaks."""
    import jax

    return not _many or jax.process_index() == 0


def barrier(name: str) -> None:
    """Waits until every process is here."""
    if _many:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(name)


def from_main_process(value: int) -> int:
    """Returns the lead's number, on every process."""
    if not _many:
        return value
    import numpy as np
    from jax.experimental import multihost_utils

    return int(multihost_utils.broadcast_one_to_all(np.int32(value)))


def highest(value: int) -> int:
    """Returns the highest number of all processes, on every process."""
    if not _many:
        return value
    import numpy as np
    from jax.experimental import multihost_utils

    return int(np.max(multihost_utils.process_allgather(np.int32(value))))


def main_process_first(do: Callable[[], T]) -> T:
    """Calls a function on the lead, then on the others, which find what it has left; returns its result."""
    if not is_main_process():
        barrier("lead first")
        return do()
    done = do()
    barrier("lead first")
    return done


def check_same(what: dict[str, str]) -> None:
    """Raises ConfigError, on every process, if a text differs between processes; the keys must be the same."""
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
    """Raises RunFolderError, on every process, unless all see the same folder: checkpoints are written by all."""
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
    """Whether an error says no more than that another process has ended."""
    return _many and any(words in str(error).lower() for words in OF_ANOTHER)


def end() -> None:
    """Leaves the job, with all others."""
    global _many
    if _many:
        import jax

        jax.distributed.shutdown()
        _many = False
