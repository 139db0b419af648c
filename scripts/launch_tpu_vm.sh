#!/usr/bin/env bash
# Starts the same command on every host of a TPU VM slice; JAX finds addresses and numbers by itself.
#
#   scripts/launch_tpu_vm.sh NAME ZONE --config=configs/cnn.py --workdir=/shared/runs/cnn
#
# The repository must be in ~/hwr_jax on every host, and --workdir on a disk that all hosts share. Run the same command
# again to resume a preempted job.
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
