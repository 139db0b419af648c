#!/usr/bin/env bash
# Starts the same command on every host of a TPU VM slice; JAX finds addresses and numbers by itself.
#
#   scripts/launch_tpu_vm.sh NAME ZONE --config=configs/cnn.py --workdir=/shared/runs/cnn
#
# The repository must lie in ~/hwr_jax on every host, and --workdir on a disk that all hosts share. The same command
# goes on where a preempted job stopped.
set -euo pipefail

if [ $# -lt 3 ]; then
  sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
  exit 64
fi
name=$1 zone=$2
shift 2
quoted=$(printf ' %q' "$@")
exec gcloud compute tpus tpu-vm ssh "$name" --zone="$zone" --worker=all \
  --command="cd ~/hwr_jax && HWR_EXTRA=tpu python3 scripts/run.py -m hwr_jax.main --join --watchdog_s=1800 $quoted"
