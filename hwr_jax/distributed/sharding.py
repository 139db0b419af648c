"""Devices: the mesh ('seed', 'data'), and where arrays lie on it. Only this file and steps/ know about devices."""

from __future__ import annotations

from collections.abc import Callable

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from hwr_jax.core.errors import ConfigError
from hwr_jax.core.types import Tree


def own_mesh() -> Mesh:
    """Makes the mesh of one device of this process, for what each process computes for itself."""
    return jax.make_mesh((1, 1), ("seed", "data"), axis_types=(AxisType.Auto,) * 2, devices=jax.local_devices()[:1])


def make_mesh(devices: int, *, batch_size: int, groups: int = 1, seeds: int = 1) -> Mesh:
    """Makes the mesh (groups, devices / groups): seeds are split over the groups, a batch over the devices of a group.

    Args:
      devices: how many to use; 0: all.
      batch_size: B, over all devices of a group.
      groups: of devices; each trains its part of the seeds.
      seeds: S.

    Raises:
      ConfigError: more devices than the machine has, or seeds or a batch that they cannot share evenly.
    """
    available = jax.device_count()
    used = devices or available
    if not 1 <= used <= available:
        raise ConfigError(
            f"--devices={devices} is out of range: this machine has {available}; use 1 to {available}, or 0 for all"
        )
    if used % groups or seeds % groups:
        raise ConfigError(
            f"--seed_groups={groups} must divide the {used} devices and config.seeds={seeds}: use a divisor of both"
        )
    if batch_size % (used // groups):
        raise ConfigError(
            f"config.batch_size={batch_size} cannot be split over {used // groups} devices: use a multiple, or fewer "
            "--devices"
        )
    if len({device.process_index for device in jax.devices()[:used]}) < jax.process_count():
        raise ConfigError(
            f"--devices={devices} leaves one of the {jax.process_count()} processes without a device: use more, or 0"
        )
    return jax.make_mesh(
        (groups, used // groups), ("seed", "data"), axis_types=(AxisType.Auto,) * 2, devices=jax.devices()[:used]
    )


def replicated(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of an array that every device holds in full."""
    return NamedSharding(mesh, PartitionSpec())


def batches_over_data(whole: NamedSharding) -> NamedSharding:
    """Returns the sharding of batches [S, W, B, ...] on the mesh of `whole`: the third axis over the devices."""
    return NamedSharding(whole.mesh, PartitionSpec(None, None, "data"))


def over_data(mesh: Mesh) -> Callable[[Tree], Tree]:
    """Returns what splits a batch's first axis over the devices (inside jit; on one device, the identity)."""
    if mesh.shape["data"] == 1:
        return lambda rows: rows
    # Within a group (under shard_map over 'seed') the context supplies the mesh.
    sharding = PartitionSpec("data") if mesh.shape["seed"] > 1 else NamedSharding(mesh, PartitionSpec("data"))
    return lambda rows: jax.lax.with_sharding_constraint(rows, sharding)
