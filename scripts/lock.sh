#!/usr/bin/env bash
# Rewrites the lock files from pyproject.toml: every package pinned, with the hashes of all its files, for all
# platforms. Needs uv (pip install uv). Existing pins are kept if they still fit; UPGRADE=1 takes the newest versions.
#   requirements.txt         works on every Python from 3.11; scripts/run.py uses it for 3.11
#   requirements-py312.txt   the newest JAX, which needs Python 3.12
#   requirements-build.txt   uv, which installs the others; what builds the one that comes as source (promise), and the
#                            project itself
set -euo pipefail
cd "$(dirname "$0")/.."

lock() { # lock FILE PYTHON SOURCE [OPTION ...]
  local file=$1 python=$2 source=$3
  shift 3
  uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --python-version "$python" \
    ${UPGRADE:+--upgrade} "$@" --output-file "$file" "$source" >/dev/null
}

lock requirements.txt 3.11 pyproject.toml --extra dev --fork-strategy fewest
lock requirements-py312.txt 3.12 pyproject.toml --extra dev
printf '%s\n' hatchling editables setuptools uv wheel | lock requirements-build.txt 3.11 - --fork-strategy fewest
grep -cE '^[a-z]' requirements*.txt
