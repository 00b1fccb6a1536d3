#!/bin/bash
# machine.sh NODE [ROOT]: the first process of a throw-away machine (machine.ts), as root and in new
# mount, pid, network, uts and ipc namespaces. Everything lives in them: the user, its home, mounts,
# containers, podman's pause process. The kernel ends all of it with this process, which ends with
# its standard input, as it also does when the test is killed. With ROOT, the machine's programs are
# those of a Debian root (scripts/debian-root.sh), which stays as it is.
set -euo pipefail

node=$1
root=${2-}
user=spliceport-test

# /proc is still the outer one: this is the pid by which the test enters the namespaces.
read -r pid _ < /proc/self/stat

# A chrooted process may not make user namespaces, so the root is pivoted to, as a layer that takes
# all writes.
enter_root() {
  mount --make-rprivate /
  mount -t tmpfs -o mode=755 tmpfs /mnt
  mkdir /mnt/{upper,work,root,old}
  mount -t overlay -o "lowerdir=$root,upperdir=/mnt/upper,workdir=/mnt/work" overlay /mnt/root
  mount -t proc proc /mnt/root/proc
  mount --rbind /dev /mnt/root/dev
  mount -t sysfs sysfs /mnt/root/sys
  mkdir -p /mnt/root/mnt/old /mnt/root/run/test
  touch /mnt/root/mnt/node
  mount --bind "$node" /mnt/root/mnt/node
  node=/mnt/node
  cd /mnt/root
  pivot_root . mnt/old
  cd /
  umount -l /mnt/old
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
}
if [ -n "$root" ]; then enter_root; else mount -t proc proc /proc; fi
# Podman warns when the root is no shared mount; the new group has this namespace as its only
# member.
mount --make-rshared /

mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/{etc,lock,netns,systemd,test,user}
# The user may be unable to reach node where it is.
touch /run/test/node
mount --bind "$node" /run/test/node

cp -a /etc/. /run/etc
mount --bind /run/etc /etc
# A link into the old /run, or a nameserver that must not be asked.
rm -f /etc/resolv.conf
echo 'nameserver 192.0.2.53' > /etc/resolv.conf
# What podman takes where there is no systemd, and a storage driver that works everywhere.
mkdir -p /etc/containers
cat > /etc/containers/containers.conf <<'CONF'
[containers]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
# Podman 5 serves its default network by pasta, and then asks no helper.
if [ -n "$root" ]; then
  cat >> /etc/containers/containers.conf <<'CONF'
[network]
default_rootless_network_cmd = "slirp4netns"
firewall_driver = "iptables"
CONF
fi
printf '[storage]\ndriver = "vfs"\n' > /etc/containers/storage.conf

for scratch in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o mode=1777 tmpfs "$scratch"; done
mount -t tmpfs -o mode=755 tmpfs /home

# slirp4netns opens it as the user; the host's may be for root alone.
mkdir -p /dev/net
mount -t tmpfs -o mode=755 tmpfs /dev/net
mknod -m 666 /dev/net/tun c 10 200

# crun refuses the hybrid layout of cgroups.
umount -R /sys/fs/cgroup 2> /dev/null || true
mount -t cgroup2 none /sys/fs/cgroup

# What podman takes for the host has the loopback addresses and one more of each family, and the
# kernel's own bound of privileged ports.
ip link set lo up
ip address add 192.0.2.2/32 dev lo
ip address add 2001:db8::2/128 dev lo nodad
# pasta copies the interface of the default route.
ip link add lan0 type veth peer name lan1
ip address add 203.0.113.2/24 dev lan0
ip link set lan0 up
ip link set lan1 up
ip route add default via 203.0.113.1
echo 1024 > /proc/sys/net/ipv4/ip_unprivileged_port_start

# No registry is needed: the image is busybox, its links, and a folder to mount the machine's
# libraries into.
image=/run/test/image
mkdir -p "$image"/{bin,etc,tmp,usr,www}
cp "$(command -v busybox)" "$image/bin/busybox"
for applet in cat httpd ip ls nc pidof sh sleep true wget; do ln -s busybox "$image/bin/$applet"; done
ln -s usr/lib usr/lib64 "$image"
echo 'hello from the container' > "$image/www/hello.txt"
tar -C "$image" -cf "$image.tar" .

useradd --create-home --no-log-init --shell /bin/sh "$user"
echo "$user:100000:65536" | tee /etc/subuid > /etc/subgid
uid=$(id -u "$user")
install -d -m 700 -o "$user" -g "$user" "/run/user/$uid"

echo "$pid $uid"
# Bash takes in the orphans of podman meanwhile, so that a process that has ended is gone.
read -r _ || true
