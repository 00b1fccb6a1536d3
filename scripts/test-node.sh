#!/bin/bash
# test-node.sh VERSION...: runs the tests that depend on Node under other versions of it, such as 22
# and 24. npm's package `node` brings them. They are kept in SPLICEPORT_NODES
# (/var/cache/spliceport/node by default), a folder that every user must be able to read, because
# some tests run as other users.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -gt 0 ] || {
  echo 'usage: test-node.sh VERSION..., for example: test-node.sh 22 24' >&2
  exit 2
}
nodes=${SPLICEPORT_NODES:-/var/cache/spliceport/node}
projects=(--project unit --project library --project contract --project netns --project lifecycle)
# Nobody but developers runs the bench and the scripts; the others test programs in C++, and a
# browser.
for name in 'bench-*' release audit plain-config 'docker-proxy*' cli-ui-page; do
  projects+=(--exclude "test/contract/$name.test.ts")
done

for version; do
  folder=$nodes/$version
  node=$folder/node_modules/node/bin/node
  if [ ! -x "$node" ]; then
    mkdir -p "$folder"
    npm install --no-audit --no-fund --no-save --prefix "$folder" "node@$version"
  fi
  printf '\n== Node %s\n' "$("$node" --version)"
  PATH=$(dirname "$node"):$PATH "$node" scripts/test.mjs "${projects[@]}"
done
