#!/bin/bash
# debian-root.sh SUITE FOLDER: makes a Debian root of that suite (trixie, sid) in FOLDER, with the
# container engines and forwarders that the tests and the benchmark run beside those of this
# machine. Needs root and debootstrap. A root that is complete is kept as it is; remove its folder
# to have a newer one.
set -euo pipefail

usage='usage: debian-root.sh SUITE FOLDER, for example: debian-root.sh trixie /var/cache/spliceport/trixie'
suite=${1:?$usage}
folder=${2:?$usage}
mirror=${SPLICEPORT_DEBIAN_MIRROR:-http://deb.debian.org/debian}

packages=(
  podman crun conmon netavark aardvark-dns slirp4netns passt nftables iptables uidmap fuse-overlayfs catatonit
  busybox-static iproute2 procps passwd docker.io docker-cli containerd runc rootlesskit haproxy
)
# A root made for another list of packages is made anew.
recipe="$suite ${packages[*]}"
stamp=etc/spliceport-root

fail() {
  printf 'debian-root.sh: %s\n' "$1" >&2
  exit 1
}

if [ "$(cat "$folder/$stamp" 2> /dev/null)" = "$recipe" ]; then
  echo "$folder holds Debian $suite already"
  exit 0
fi
[ ! -e "$folder" ] || [ -e "$folder/$stamp" ] ||
  fail "$folder exists and is not a root that this script made: name another folder, or remove it"
[ "$(id -u)" = 0 ] || fail 'only root can make a root: sudo scripts/debian-root.sh'
command -v debootstrap > /dev/null || fail 'debootstrap is missing: apt-get install debootstrap'

# Made beside its place, so that what is there is always whole.
partial=$folder.partial
rm -rf --one-file-system "$partial"
mkdir -p "$partial"
log=$(mktemp)
trap 'rm -rf --one-file-system "$partial" "$log"' EXIT

step() {
  echo "$1"
  shift
  "$@" > "$log" 2>&1 || {
    tail -n 20 "$log" >&2
    fail "$1 failed; its last lines are above"
  }
}

inside() {
  DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 chroot "$partial" "$@" < /dev/null
}

step "Debian $suite from $mirror" debootstrap --variant=minbase "$suite" "$partial" "$mirror"
# A mirror that is frozen at a day has an old date, and apt's own user may be unable to reach the
# network.
printf 'Acquire::Check-Valid-Until "false";\nAPT::Sandbox::User "root";\n' \
  > "$partial/etc/apt/apt.conf.d/99spliceport"
# No service of these packages starts.
printf '#!/bin/sh\nexit 101\n' > "$partial/usr/sbin/policy-rc.d"
chmod 755 "$partial/usr/sbin/policy-rc.d"
step 'lists of packages' inside apt-get update
step 'container engines and forwarders' \
  inside apt-get install --yes --no-install-recommends "${packages[@]}"
inside apt-get clean

echo "$recipe" > "$partial/$stamp"
rm -rf --one-file-system "$folder"
mv "$partial" "$folder"
echo "$folder holds Debian $suite"
