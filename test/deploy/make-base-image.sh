#!/bin/sh
# Makes a base image out of this Debian machine's own packages, where no image registry can be reached.
#   usage: make-base-image.sh redis TAG             redis-server and redis-cli, user 999:1000 as in redis:7-alpine
#          make-base-image.sh node TAG NODE_BINARY  what the Dockerfile needs of node:24-bookworm-slim
#   needs a Docker engine (DOCKER_HOST); exit 3: this machine can't supply the files
set -eu

fail() { echo "No $kind image: $1" >&2; exit 3; }

# The files of the packages and of all they depend on, in the form of a merged-/usr system.
package_files() {
  apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
    --no-enhances "$@" | grep '^[a-z0-9]' | sort -u | xargs dpkg-query -L 2>/dev/null \
    | grep -vE '^/(\.|etc/(init\.d|systemd|default)|usr/share/(doc|man|info|locale|lintian|bug))(/|$)|^(package|diverted) ' \
    | sed -E 's#^/(bin|sbin|lib|lib64)/#/usr/\1/#; s#^/##' | sort -u \
    | while read -r path; do if [ -e "/$path" ] || [ -L "/$path" ]; then echo "$path"; fi; done
}

kind=${1:-}
tag=${2:-}
[ -n "$tag" ] || { echo "usage: $0 redis TAG | node TAG NODE_BINARY" >&2; exit 2; }
command -v dpkg-query >/dev/null && [ -L /lib ] || fail "this is not a Debian with merged /usr"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/image" "$root/own/etc" "$root/own/tmp" "$root/own/root" "$root/data"
chmod 1777 "$root/own/tmp"
printf 'root:x:0:0::/root:/bin/sh\nredis:x:999:1000::/data:/bin/sh\nnode:x:1000:1000::/tmp:/bin/sh\n' >"$root/own/etc/passwd"
printf 'root:x:0:\nnode:x:1000:\n' >"$root/own/etc/group"

case $kind in
  redis)
    dpkg-query -s redis-server >/dev/null 2>&1 || fail "the package redis-server is not installed"
    package_files redis-tools >"$root/list"
    echo usr/bin/redis-server >>"$root/list"
    set -- --change 'WORKDIR /data' --change 'EXPOSE 6379' --change 'CMD ["redis-server"]'
    ;;
  node)
    node=${3:-}
    [ -x "$node" ] || fail "there is no Node binary at '$node'"
    npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
    [ -f "$npm/bin/npm-cli.js" ] || fail "npm's own files were not found"
    package_files dash coreutils libstdc++6 base-files >"$root/list"
    mkdir -p "$root/own/usr/local/bin" "$root/own/usr/local/lib/node_modules" "$root/own/etc/ssl/certs"
    cp "$node" "$root/own/usr/local/bin/node"
    cp -r "$npm" "$root/own/usr/local/lib/node_modules/npm"
    ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/own/usr/local/bin/npm"
    cp /etc/ssl/certs/ca-certificates.crt "$root/own/etc/ssl/certs/"
    # This machine may reach the package registry through a certificate authority of its own.
    set -- --change 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt' --change 'CMD ["node"]'
    ;;
  *) echo "usage: $0 redis TAG | node TAG NODE_BINARY" >&2; exit 2 ;;
esac

printf 'bin\nsbin\nlib\nlib64\n' >>"$root/list"
# The packages' files first, ours over them; the engine refuses an archive that names a path twice.
sort -u "$root/list" | tar -cf - -C / --no-recursion -T - | tar -xf - -C "$root/image"
cp -a "$root/own/." "$root/image/"
tar -cf "$root/image.tar" -C "$root/image" --owner=0 --group=0 .
tar -rf "$root/image.tar" -C "$root" --owner=999 --group=1000 data
docker import --change 'ENV PATH=/usr/local/bin:/usr/bin:/bin' "$@" "$root/image.tar" "$tag" >/dev/null
