#!/usr/bin/env bash
# npm 11.19.1: `npm sbom --omit=dev` leaves a production dependency out of the document when a development
# tool depends on it as well; `npm ls --omit=dev` in the same folder lists it. One would expect the two to
# agree: what is installed with --omit=dev is what runs, and a list for auditors must have it. Whoever
# publishes that document declares less than he ships.
# Output seen:
#   npm ls --omit=dev    fast-deep-equal
#   npm sbom --omit=dev  nothing
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
mkdir "$folder/tool" "$folder/shop"
cd "$folder/tool"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts npm@11.19.1 node@24.21.0 >/dev/null
npm rebuild --silent node >/dev/null
# Both npm and the Node that it runs on.
export PATH="$folder/tool/node_modules/.bin:$PATH"
cd "$folder/shop"
cat >package.json <<'JSON'
{
  "name": "shop",
  "version": "1.0.0",
  "dependencies": { "fast-deep-equal": "3.1.3" },
  "devDependencies": { "ajv": "8.17.1" }
}
JSON
npm install --silent --no-audit --no-fund --ignore-scripts >/dev/null
listed=$(npm ls --omit=dev --json | grep -o '"fast-deep-equal"' | head -n 1 | tr -d '"' || true)
declared=$(npm sbom --omit=dev --sbom-format=cyclonedx | grep -o '"name": "fast-deep-equal"' || true)
echo "npm ls --omit=dev    ${listed:-nothing}"
echo "npm sbom --omit=dev  ${declared:-nothing}"
[[ $listed == fast-deep-equal && -z $declared ]] || { echo 'the behaviour has changed' >&2; exit 1; }
