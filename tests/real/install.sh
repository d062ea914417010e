#!/bin/sh
# Installs what tests/real needs, on Debian and its kin. Nothing happens where all is there.
set -eu

# program:package
parts="docker-registry:docker-registry skopeo:skopeo umoci:umoci buildah:buildah
openssl:openssl zstd:zstd dockerd:docker.io podman:podman
docker-credential-pass:golang-docker-credential-helpers pass:pass gpg:gnupg
nginx:nginx-light tinyproxy:tinyproxy squid:squid microsocks:microsocks
strace:strace valgrind:valgrind jq:jq zsh:zsh fish:fish groff:groff"

missing() {
    for part in $parts; do
        command -v "${part%%:*}" >/dev/null 2>&1 || printf '%s\n' "${part#*:}"
    done
}

packages=$(missing)
[ -n "$packages" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    printf 'Missing, and there is no apt-get to install them:\n%s\n' "$packages" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    printf 'Missing:\n%s\n\nRun this as root: sh tests/real/install.sh\n' "$packages" >&2
    exit 1
fi

work=$(mktemp -d)
policy=/usr/sbin/policy-rc.d
ours=no
cleanup() {
    rm -rf "$work"
    [ "$ours" = no ] || rm -f "$policy"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# the tests start registries themselves: Debian's service would only take port 5000
if [ ! -e "$policy" ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi

quietly() {
    "$@" >"$work/log" 2>&1 </dev/null || {
        cat "$work/log" >&2
        printf '\n`%s` failed\n' "$*" >&2
        exit 1
    }
}

export DEBIAN_FRONTEND=noninteractive
quietly apt-get update -q
# one word per package is meant
# shellcheck disable=SC2086
quietly apt-get install -q -y --no-install-recommends $packages

packages=$(missing)
if [ -n "$packages" ]; then
    printf 'Installed, and still not on PATH:\n%s\n' "$packages" >&2
    exit 1
fi
