#!/usr/bin/env bash
# Fetches the page's one library, Leaflet, from npm into service/web/vendor, and checks it against
# the checksum below. What it fetches is tracked; running it again must change nothing.
set -euo pipefail

version=1.9.4
sha512=nxS1ynzJOmOlHp+iL3FyWqK89GtNL8U8rvlMOsQdTTssxZwCXh8N2NB3GDQOL+YR3XnWyZAxwQixURb+FA74PA==

target=$(cd "$(dirname "$0")/.." && pwd)/service/web/vendor/leaflet-$version
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm pack --silent "leaflet@$version" >/dev/null
got=$(openssl dgst -sha512 -binary "leaflet-$version.tgz" | base64 -w0)
if [ "$got" != "$sha512" ]; then
    echo "leaflet $version: got sha512 $got, expected $sha512" >&2
    exit 1
fi
tar xzf "leaflet-$version.tgz"
mkdir -p "$target"
cp package/LICENSE package/dist/leaflet.js package/dist/leaflet.css "$target"
