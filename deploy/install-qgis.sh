#!/usr/bin/env bash
# Makes QGIS available for `make test-qgis`: Debian's packages, without a desktop. Where it cannot
# install, it says so and succeeds: the tests skip with the reason.
set -euo pipefail

packages=(qgis python3-qgis qgis-providers xvfb)
if { command -v qgis_process.bin || command -v qgis_process; } >/dev/null 2>&1 \
    && /usr/bin/python3 -c 'import qgis.core' >/dev/null 2>&1; then
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ]; then
    echo "Missing: QGIS. Install it (Debian, Ubuntu, as root: apt-get install ${packages[*]});" \
        "without it the tests skip with a word." >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
echo "Installing ${packages[*]}: 1 GB, two or three minutes"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${packages[@]}"; } \
    >"$log" 2>&1; then
    tail -20 "$log" >&2
    echo "Could not install QGIS; the tests skip." >&2
fi
