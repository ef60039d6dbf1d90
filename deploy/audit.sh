#!/usr/bin/env bash
# The bill of materials (CycloneDX, build/sbom/) of each lock that users install, and the known
# vulnerabilities of what it names, as OSV has them. Ends with 1 where there is one, with 3 where
# its tools cannot be had or OSV cannot be asked.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=${UV:-.venv/bin/uv}
test -x "$uv" || { echo "audit.sh needs uv: run make check once, or set UV" >&2; exit 3; }
bom=("$uv" tool run -q --from cyclonedx-bom==7.5.0 cyclonedx-py)
audit=("$uv" tool run -q pip-audit==2.10.1)
for tool in bom audit; do
  declare -n command=$tool
  "${command[@]}" --version >/dev/null || { echo "audit.sh cannot have its tools" >&2; exit 3; }
done
mkdir -p build/sbom
locks=(requirements requirements-service requirements-train)

for lock in "${locks[@]}"; do
  # It warns that a lock does not tell which package needs which.
  PYTHONWARNINGS=ignore "${bom[@]}" requirements "$lock.lock" --pyproject pyproject.toml \
    --output-reproducible -o "build/sbom/$lock.cdx.json"
  echo "build/sbom/$lock.cdx.json is made of $lock.lock"
done

found=0
for lock in "${locks[@]}"; do
  status=0
  told=$("${audit[@]}" --vulnerability-service osv --requirement "$lock.lock" --require-hashes \
    --disable-pip --progress-spinner off 2>&1) || status=$?
  if [[ $told == *Traceback* || $told == *ConnectionError* ]]; then
    echo "$lock.lock was not audited: the database cannot be asked from here" >&2
    exit 3
  fi
  printf '%s: %s\n' "$lock.lock" "$told"
  [[ $status == 0 ]] || found=1
done
exit "$found"
