#!/bin/sh
# Makes a Docker engine answer, for the tests that want one. Prints the lines to put into the environment
# (DOCKER_HOST=…, and REDIS_TEST_IMAGE=… where redis:7-alpine can't be pulled), nothing when an engine answers already.
# Everything it writes stands under DIR, apart from Debian's packages that it may install.
#   usage: start-docker-engine.sh DIR      stop it with: stop-docker-engine.sh DIR
#   exit 3: none can be had here (no dockerd, and not root on Debian); 4: dockerd did not come up
set -eu
[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }

if command -v docker >/dev/null && timeout 5 docker version >/dev/null 2>&1; then exit 0; fi

if ! command -v dockerd >/dev/null || ! { docker compose version || command -v docker-compose; } >/dev/null 2>&1; then
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "No Docker engine: dockerd or compose is not installed, and only root on Debian can install docker.io" >&2
    exit 3
  fi
  export DEBIAN_FRONTEND=noninteractive
  { timeout 60 apt-get update -qq && timeout 180 apt-get install -y -qq --no-install-recommends docker.io iptables docker-compose; } \
    >/dev/null 2>&1 || { echo "No Docker engine: apt-get install docker.io iptables docker-compose failed" >&2; exit 3; }
fi

mkdir -p "$1"
dir=$(cd "$1" && pwd)
host=unix://$dir/docker.sock
# Its own socket, data, runtime directory and pid file: it can't meet another engine of this machine.
setsid dockerd --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/dockerd.pid" -H "$host" \
  >"$dir/dockerd.log" 2>&1 </dev/null &
pid=$!

tries=0
until DOCKER_HOST=$host timeout 5 docker version >/dev/null 2>&1; do
  tries=$((tries + 1))
  if ! kill -0 "$pid" 2>/dev/null || [ "$tries" -ge 60 ]; then
    echo "No Docker engine: dockerd did not come up; the end of its log:" >&2
    tail -n 5 "$dir/dockerd.log" >&2
    "$(dirname "$0")/stop-docker-engine.sh" "$dir"
    exit 4
  fi
  sleep 0.25
done
echo "DOCKER_HOST=$host"

export DOCKER_HOST=$host
if ! timeout 60 docker pull --quiet redis:7-alpine >/dev/null 2>&1; then
  tag=quern-test/redis:debian
  if "$(dirname "$0")/make-base-image.sh" redis "$tag" >&2; then echo "REDIS_TEST_IMAGE=$tag"; fi
fi
