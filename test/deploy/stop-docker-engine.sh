#!/bin/sh
# Ends the engine that start-docker-engine.sh started in DIR, and removes DIR. Does nothing where none was started.
#   usage: stop-docker-engine.sh DIR
set -eu
[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
[ -d "$1" ] || exit 0
dir=$(cd "$1" && pwd)
[ -e "$dir/dockerd.log" ] || { echo "$dir holds no engine of start-docker-engine.sh" >&2; exit 2; }

if [ -s "$dir/dockerd.pid" ]; then
  pid=$(cat "$dir/dockerd.pid")
  kill "$pid" 2>/dev/null || true
  tries=0
  while kill -0 "$pid" 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || kill -9 "$pid" 2>/dev/null || true
    sleep 0.25
  done
fi
# A container's network namespace and layers stay mounted when dockerd was killed hard.
grep -o " $dir/[^ ]*" /proc/mounts | sort -r | while read -r mount; do umount "$mount" 2>/dev/null || true; done
rm -rf "$dir"
