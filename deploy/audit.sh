#!/usr/bin/env bash
# Each lock's bill of materials (CycloneDX, build/sbom/), and the known vulnerabilities of what it
# names, as OSV has them. Ends with 1 where there is one, with 3 where OSV cannot be asked.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=${UV:-.venv/bin/uv}
test -x "$uv" || { echo "audit.sh needs uv: run make check once, or set UV" >&2; exit 3; }
mkdir -p build/sbom
locks=(requirements requirements-service requirements-train)

for lock in "${locks[@]}"; do
  "$uv" tool run -q --from cyclonedx-bom==7.5.0 cyclonedx-py requirements "$lock.lock" \
    --pyproject pyproject.toml --output-reproducible -o "build/sbom/$lock.cdx.json" 2>/dev/null
  echo "build/sbom/$lock.cdx.json is made of $lock.lock"
done

found=0
for lock in "${locks[@]}"; do
  status=0
  told=$("$uv" tool run -q pip-audit==2.10.1 --vulnerability-service osv --requirement "$lock.lock" \
    --require-hashes --disable-pip --progress-spinner off 2>&1) || status=$?
  if [[ $told == *Traceback* || $told == *ConnectionError* ]]; then
    echo "$lock.lock was not audited: the database cannot be asked from here" >&2
    exit 3
  fi
  printf '%s: %s\n' "$lock.lock" "$told"
  [[ $status == 0 ]] || found=1
done
exit "$found"
