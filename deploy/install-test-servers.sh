#!/usr/bin/env bash
# Makes the servers available that the acceptance tests start themselves, on free ports and in
# temporary folders. Installs programs only; starts and enables no system service by itself.
#
# Where it cannot install, it says so and succeeds: the tests skip what needs a missing program.
set -euo pipefail

have() {
    command -v "$1" >/dev/null 2>&1
}

have_postgres() {
    have postgres || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null
}

# A store that speaks S3, of another make than the one among the Python packages.
if ! have s3rver && have npm && [ "$(id -u)" -eq 0 ]; then
    npm install --global --silent --no-audit --no-fund s3rver@3.7.1 >/dev/null 2>&1 ||
        echo "Could not install s3rver; the tests that need it skip." >&2
fi

missing=()
have redis-server || missing+=(redis-server)
have_postgres || missing+=(postgresql)
have nginx || have /usr/sbin/nginx || missing+=(nginx-light)
have curl || missing+=(curl)
have chromium || missing+=(chromium)
[ ${#missing[@]} -gt 0 ] || exit 0

if ! have apt-get || [ "$(id -u)" -ne 0 ]; then
    echo "Missing for the acceptance tests: ${missing[*]}." >&2
    echo "Install them (Debian, Ubuntu, as root: apt-get install ${missing[*]});" \
        "without them the tests that need them skip with a word." >&2
    exit 0
fi

# Debian starts what it installs unless this policy says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
echo "Installing ${missing[*]} for the acceptance tests"
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
    >/tmp/mfnet-apt.$$ 2>&1; then
    cat /tmp/mfnet-apt.$$ >&2
    echo "Could not install ${missing[*]}; the tests that need them skip." >&2
fi
rm -f /tmp/mfnet-apt.$$
