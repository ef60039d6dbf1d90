#!/usr/bin/env bash
# Makes QGIS available for the tests of its plugin: Debian's packages, without a desktop. Where it
# cannot install, it says so and succeeds: the tests skip with the reason.
#
#   install-qgis.sh           returns when it is there
#   install-qgis.sh --behind  returns at once; the tests wait for build/qgis-install.lock
set -euo pipefail

cd "$(dirname "$0")/.."
packages=(qgis python3-qgis qgis-providers xvfb)
if { command -v qgis_process.bin || command -v qgis_process; } >/dev/null 2>&1 \
    && /usr/bin/python3 -c 'import qgis.core' >/dev/null 2>&1; then
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ]; then
    echo "Missing: QGIS. Install it (Debian, Ubuntu, as root: apt-get install ${packages[*]});" \
        "without it the tests of its plugin skip with a word." >&2
    exit 0
fi

log=build/qgis-install.log
install() {
    export DEBIAN_FRONTEND=noninteractive
    if ! { timeout 300 apt-get update -qq \
        && timeout 400 apt-get install -y -qq --no-install-recommends "${packages[@]}"; } \
        >"$log" 2>&1; then
        tail -20 "$log" >&2
        echo "Could not install QGIS; the tests of its plugin skip." >&2
    fi
}

mkdir -p build
# Whoever installs holds the lock, by the descriptor that it inherits: also when we have returned.
exec 9>build/qgis-install.lock
flock 9
echo "Installing ${packages[*]}: 1 GB, one to three minutes"
if [ "${1:-}" = --behind ]; then
    install </dev/null >/dev/null &
else
    install
fi
