#!/bin/bash
# daemon.sh PACKAGE NODE [ROOT]: the first process of a throw-away machine with dockerd, in new
# mount, pid, network, uts and ipc namespaces: no rule, bridge or container is anywhere else. The
# kernel ends all of it with this process, which ends with its standard input. PACKAGE and NODE
# become /run/test/package and /run/test/node. With ROOT, dockerd is that of a Debian root
# (scripts/debian-root.sh), which stays as it is. Each line that it reads is for dockerd: start, or
# a signal's name.
set -euo pipefail

package=$1
node=$2
root=${3-}

# /proc is still the outer one: this is the pid by which the test enters the namespaces.
read -r pid _ < /proc/self/stat

enter_root() {
  mount --make-rprivate /
  mount -t tmpfs -o mode=755 tmpfs /mnt
  mkdir /mnt/{upper,work,root}
  mount -t overlay -o "lowerdir=$root,upperdir=/mnt/upper,workdir=/mnt/work" overlay /mnt/root
  mount -t proc proc /mnt/root/proc
  mount --rbind /dev /mnt/root/dev
  mount -t sysfs sysfs /mnt/root/sys
  mkdir -p /mnt/root/mnt/{old,package}
  touch /mnt/root/mnt/node
  mount --bind "$package" /mnt/root/mnt/package
  mount --bind "$node" /mnt/root/mnt/node
  package=/mnt/package
  node=/mnt/node
  cd /mnt/root
  pivot_root . mnt/old
  cd /
  umount -l /mnt/old
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
}
if [ -n "$root" ]; then enter_root; else mount -t proc proc /proc; fi
mount --make-rshared /
mount -t tmpfs -o mode=755,exec tmpfs /run
mkdir -p /run/{lock,netns} /run/test/{package,image/bin}
touch /run/test/{node,settings.json}
mount --bind "$package" /run/test/package
mount --bind "$node" /run/test/node
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir /tmp/docker

# runc takes one layout of cgroups or the other, not both.
umount -R /sys/fs/cgroup 2> /dev/null || true
mount -t cgroup2 none /sys/fs/cgroup
ip link set lo up

# No registry is needed.
cp "$(command -v busybox)" /run/test/image/bin/busybox
tar -C /run/test/image -cf /run/test/image.tar .

# What spliceport takes from the environment of dockerd. An empty file is as none.
export SPLICEPORT_NODE=/run/test/node SPLICEPORT_CONFIG=/run/test/settings.json
export SPLICEPORT_CONTROL_DIR=/run/test/control XDG_RUNTIME_DIR=/run/test

start() {
  dockerd --data-root /tmp/docker --exec-root /run/d --pidfile /run/d.pid --host unix:///run/d.sock \
    --storage-driver vfs --exec-opt native.cgroupdriver=cgroupfs --ipv6 --fixed-cidr-v6 fd00:28::/64 --live-restore \
    --userland-proxy-path "${proxy:-/run/test/package/libexec/docker-proxy}" >> /run/test/dockerd.log 2>&1 < /dev/null &
}

echo "$pid"
while read -r line; do
  case $line in
    start*)
      proxy=${line#start}
      proxy=${proxy# }
      start
      ;;
    # The daemon's own pid: its containers and proxies are not its process group's alone.
    *) kill -s "$line" "$(cat /run/d.pid)" ;;
  esac
done
