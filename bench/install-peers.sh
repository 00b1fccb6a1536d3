#!/bin/sh
# install-peers.sh: installs, on Debian, every program that the benchmark compares with or puts load on by. Run as root.
set -eu

apt-get update -q
apt-get install -y --no-install-recommends \
  podman passt haproxy docker.io socat slirp4netns \
  iperf3 wrk nginx-light dnsmasq-base dnsperf \
  g++ iproute2 util-linux
