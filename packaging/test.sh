#!/usr/bin/env bash
# Makes the package of what build/release has built, and proves it in a Debian of its own: installs it, starts the
# server as its unit does, upgrades it, removes it, purges it.
#
#   packaging/test.sh    as root, after cmake --build --preset release --target raftkvd raftkvctl
#
# Exit 77 (skipped) where that cannot be tried; the last line says why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly READY_WITHIN_S=30

step=start
trap 'echo "packaging/test.sh: FAILED while doing: $step" >&2' ERR

begin() {
  step=$1
  echo "== $step"
}

fail() {
  echo "packaging/test.sh: FAILED while doing: $step: $1" >&2
  exit 1
}

skip() {
  echo "packaging/test.sh: skipped: $1"
  exit 77
}

[[ $(id -u) -eq 0 ]] || skip "needs root for a chroot"
for program in cpack dpkg-shlibdeps lintian mmdebstrap systemd-analyze unshare; do
  command -v "$program" >/dev/null || skip "no $program here: scripts/install_deps.sh --long installs it"
done
# Mounts of its own, which go with it.
if [[ ${1:-} != --in-namespace ]]; then
  exec unshare --mount --propagation private "$0" --in-namespace
fi

folder=$(mktemp -d)
root=$folder/root
server=

clean_up() {
  local status=$?
  if [[ -n $server ]]; then
    kill -9 "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  if ((status != 0 && status != 77)); then
    tail -n 20 "$folder"/*.log 2>/dev/null >&2 || true
  fi
  umount "$root/proc" 2>/dev/null || true
  rm -rf "$folder"
  exit "$status"
}
trap clean_up EXIT

inside() {
  chroot "$root" env DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# package <version>: makes raftkv_<version>_<architecture>.deb in the folder.
package() {
  (cd build/release && cpack -G DEB -D CPACK_PACKAGE_VERSION="$1" -B "$folder/made") >"$folder/cpack.log"
  cp "$folder/made/raftkv_$1"_*.deb "$folder"
}

# install_package <version>
install_package() {
  mkdir -p "$root/packages"
  cp "$folder"/raftkv_"$1"_*.deb "$root/packages"
  inside apt-get install -q -y --no-install-recommends /packages/raftkv_"$1"_"$architecture".deb >"$folder/apt.log" 2>&1
  # shellcheck disable=SC2016  # dpkg-query's own.
  [[ $(inside dpkg-query -W -f '${db:Status-Abbrev} ${Version}' raftkv) == "ii  $1" ]] || fail "$1 is not installed"
}

# start_server: as the unit says, but for its sandbox and its ports; until it tells the service manager.
start_server() {
  local unit=$root/lib/systemd/system/raftkv.service user directory command notified deadline
  user=$(sed -n 's/^User=//p' "$unit")
  directory=$(sed -n 's/^WorkingDirectory=//p' "$unit")
  command=$(sed -n 's/^ExecStart=//p' "$unit")
  inside install -d -m 0700 -o "$user" -g "$user" "$directory"
  rm -f "$root/run/notify"
  python3 - "$root/run/notify" "$READY_WITHIN_S" >"$folder/notified" <<'END' &
import os, socket, sys
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
manager.settimeout(float(sys.argv[2]))
print(manager.recv(100).decode())
END
  notified=$!
  until [[ -S $root/run/notify ]]; do
    kill -0 "$notified" 2>/dev/null || fail "nobody listens for READY=1"
    sleep 0.05
  done
  # shellcheck disable=SC2086  # The command has words. The process itself gets the signals, so it is no function.
  chroot "$root" setpriv --reuid="$user" --regid="$user" --clear-groups --no-new-privs \
    env -i --chdir="$directory" PATH=/usr/bin NOTIFY_SOCKET=/run/notify RAFTKV_LISTEN_CLIENT=127.0.0.1:0 \
    RAFTKV_LISTEN_PEER=127.0.0.1:0 RAFTKV_LISTEN_HTTP= $command 2>"$folder/server.log" &
  server=$!
  wait "$notified" || fail "the server did not say that it is ready"
  [[ $(cat "$folder/notified") == READY=1 ]] || fail "it said $(cat "$folder/notified")"
  deadline=$((SECONDS + READY_WITHIN_S))
  until client=$(sed -n 's/^raftkvd ready .* client=\([^ ]*\) .*/\1/p' "$folder/server.log") && [[ -n $client ]]; do
    ((SECONDS < deadline)) || fail "no line says that it is ready"
    sleep 0.05
  done
}

stop_server() {
  kill "$server"
  wait "$server" || fail "the server ended with exit code $?"
  server=
}

ctl() {
  inside raftkvctl --endpoints "$client" "$@"
}

begin "make packages of two versions"
architecture=$(dpkg --print-architecture)
version=$(sed -n 's/^CMAKE_PROJECT_VERSION:.*=//p' build/release/CMakeCache.txt)
newer=$version+test1
package "$version"
package "$newer"

begin "look at the package"
# With --show-overrides it would fail for what is overridden as well.
lintian --fail-on error,warning "$folder/raftkv_${version}_$architecture.deb"
listed=$(dpkg-deb --fsys-tarfile "$folder/raftkv_${version}_$architecture.deb" | tar -tv)
! grep -v ' root/root ' <<<"$listed" || fail "files that are not root's"

begin "make a Debian for it"
mmdebstrap --quiet --variant=minbase --skip=cleanup/apt/lists --include=systemd-standalone-sysusers bookworm "$root"
cp /etc/resolv.conf "$root/etc/resolv.conf"
mount -t proc proc "$root/proc"

begin "install $version"
install_package "$version"
inside getent passwd raftkv >/dev/null || fail "no user raftkv"
[[ $(inside stat -c '%U %a' /etc/raftkv/raftkv.yaml) == "root 644" ]] || fail "the configuration is not root's"
inside raftkvd --check_config --config /etc/raftkv/raftkv.yaml >/dev/null
inside bash -n /usr/share/bash-completion/completions/raftkvctl
# The unit, where its program is.
sed "s|/usr/bin/raftkvd|$root&|" "$root/lib/systemd/system/raftkv.service" >"$folder/raftkv.service"
systemd-analyze verify "$folder/raftkv.service"

begin "start it as the unit does"
start_server
[[ $(ctl put key value) == OK ]] || fail "put failed"
[[ $(inside stat -c '%U %a' /var/lib/raftkv/default.raftkv) == "raftkv 700" ]] || fail "the data is not the user's"
stop_server

begin "upgrade to $newer"
echo "request_timeout_ms: 7000  # by hand" >>"$root/etc/raftkv/raftkv.yaml"
install_package "$newer"
grep -q "by hand" "$root/etc/raftkv/raftkv.yaml" || fail "the configuration is not the operator's any more"
start_server
[[ $(ctl get key --print-value-only) == value ]] || fail "the data is gone"
grep -q 'request_timeout_ms=7000 (file /etc/raftkv/raftkv.yaml' "$folder/server.log" || fail "the file is not used"
stop_server

begin "remove it"
inside apt-get remove -q -y raftkv >"$folder/apt.log" 2>&1
[[ ! -e $root/usr/bin/raftkvd ]] || fail "the server is still there"
[[ -e $root/etc/raftkv/raftkv.yaml ]] || fail "the configuration is gone"
[[ -e $root/var/lib/raftkv/default.raftkv/FORMAT ]] || fail "the data is gone"

begin "purge it"
inside dpkg --purge raftkv >"$folder/apt.log" 2>&1
[[ ! -e $root/etc/raftkv ]] || fail "the configuration is still there"
[[ -e $root/var/lib/raftkv/default.raftkv/FORMAT ]] || fail "the data is gone"
echo "packaging/test.sh: passed"
