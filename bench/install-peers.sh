#!/bin/bash
# install-peers.sh [SUITE [FOLDER]]: brings, on Debian, the programs that the benchmark compares
# with, in a Debian root of that suite (default: sid, the newest), and this machine's programs that
# put load on. Run as root.
set -euo pipefail

suite=${1:-sid}
folder=${2:-${SPLICEPORT_ROOTS:-/var/cache/spliceport}/$suite}
here=$(cd "$(dirname "$0")" && pwd)

machine=(iperf3 wrk nginx-light dnsmasq-base dnsperf socat g++ iproute2 util-linux debootstrap)
peers=(podman passt haproxy docker.io slirp4netns)

# Nothing is fetched for a machine that has all of it.
if ! dpkg-query --show "${machine[@]}" > /dev/null 2>&1; then
  apt-get update -q
  apt-get install -y --no-install-recommends "${machine[@]}"
fi

"$here/../scripts/debian-root.sh" "$suite" "$folder"
dpkg-query --admindir="$folder/var/lib/dpkg" --show --showformat='  ${Package} ${Version}\n' "${peers[@]}"
cat << END
To compare with them:
  npm run bench -- --driver "spliceport rootlessport=$folder pasta=$folder haproxy=$folder docker-proxy=$folder direct"
For newer ones, remove $folder and run this again.
END
