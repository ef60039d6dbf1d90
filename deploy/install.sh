#!/usr/bin/env bash
# Installs the project into .venv with the locked dependencies, every file checked by its hash.
#
# Usage: deploy/install.sh LOCK        (called by the Makefile; touches nothing outside .venv)
set -euo pipefail
cd "$(dirname "$0")/.."

lock=$1
venv=.venv

# A usable interpreter runs, is new enough and can make virtual environments; a name on the path
# promises none of the three (version managers leave names that only print an error).
find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3.12 python3.11 python3 python3.13; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
            >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    cat >&2 <<'MESSAGE'
No Python 3.11 or newer that can make virtual environments was found.
Install one (Debian, Ubuntu: apt-get install python3 python3-venv) or name it: make PYTHON=/path/to/python3.12
MESSAGE
    return 1
}

if [ ! -x "$venv/bin/python" ]; then
    python=$(find_python)
    echo "Making $venv with $("$python" --version)"
    "$python" -m venv --without-pip "$venv"
fi

# uv installs in a fraction of pip's time; pip does the same where uv cannot be had. The pip that
# comes with Python would take longer to unpack than all the rest, so another one fetches uv.
if [ ! -x "$venv/bin/uv" ] && [ ! -x "$venv/bin/pip" ]; then
    "$(find_python)" -m pip --python "$venv/bin/python" --disable-pip-version-check install --quiet \
        'uv>=0.9,<1' 2>/dev/null || "$venv/bin/python" -m ensurepip --default-pip >/dev/null
fi
if [ ! -x "$venv/bin/uv" ]; then
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1' \
        || echo "uv is not to be had here; pip does it, more slowly" >&2
fi
if [ -x "$venv/bin/uv" ]; then
    install=("$venv/bin/uv" pip install --python "$venv/bin/python")
    # In an environment without pip its user's pip would write elsewhere.
    [ -x "$venv/bin/pip" ] || "${install[@]}" --quiet pip
else
    install=("$venv/bin/python" -m pip install --disable-pip-version-check)
fi

if [ "$lock" = requirements-servers.lock ]; then
    # Beside the environment, not in it: see pyproject.toml.
    "${install[@]}" --quiet --require-hashes --target "$venv/servers" -r "$lock"
    exit
fi

case $lock in
    requirements.lock) size="about 250 MB" ;;
    requirements-service.lock) size="about 350 MB" ;;
    *) size="about 3 GB, most of it PyTorch" ;;
esac
echo "Installing the dependencies of $lock (the first time this downloads $size)"
"${install[@]}" --require-hashes -r "$lock"
# setuptools, which builds the project, came with the lock: nothing unlocked is downloaded for it.
"${install[@]}" --no-deps --no-build-isolation -e .
