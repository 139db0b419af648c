#!/usr/bin/env bash
# Tries every supported Python that is installed: makes a fresh environment in a temporary folder, installs the locked
# packages, runs the smoke job and the default test suite, and prints one line of a table for each.
#   scripts/try_pythons.sh                     python3.11, python3.12 and python3.13, if they are on the PATH
#   scripts/try_pythons.sh PYTHON [PYTHON ..]  these
# The exit code is 1 if anything failed; the full output is in the folder that the last line names.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- python3.11 python3.12 python3.13
folder=$(mktemp -d "${TMPDIR:-/tmp}/hwr_jax-pythons.XXXXXX")
export HWR_CACHE_DIR="$folder/cache" TFDS_DATA_DIR="$folder/tfds"

verdict() { # verdict LOG COMMAND ...: runs COMMAND and prints "ok" or its exit code
  local log=$1
  shift
  if "$@" >>"$log" 2>&1; then echo ok; else echo "failed ($?)"; fi
}

failed=0
printf '%-8s %-10s %-8s %-12s %-12s %s\n' python jax flax smoke suite "last line of the suite"
for python in "$@"; do
  "$python" -c '' 2>/dev/null || { printf '%-8s not found\n' "${python#python}"; continue; }
  version=$("$python" -c 'import platform; print(platform.python_version())')
  log="$folder/$version.log"
  "$python" -m venv --without-pip "$folder/$version"
  run=(env VIRTUAL_ENV="$folder/$version" "$python" scripts/run.py)
  smoke=$(verdict "$log" "${run[@]}" -m hwr_jax.main --config=configs/digits.py:smoke --workdir="$folder/run-$version")
  suite=$(verdict "$log" "${run[@]}" -m pytest -q)
  last=$(grep -E '[0-9]+ (passed|failed|error)' "$log" | tail -n 1 || true)
  of() { "$folder/$version/bin/python" -c "import importlib.metadata as m; print(m.version('$1'))" 2>/dev/null || echo -; }
  printf '%-8s %-10s %-8s %-12s %-12s %s\n' "$version" "$(of jax)" "$(of flax)" "$smoke" "$suite" "$last"
  [ "$smoke $suite" = "ok ok" ] || failed=1
done
echo "output and environments: $folder"
exit "$failed"
