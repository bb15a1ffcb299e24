#!/usr/bin/env bash
# units.sh CMAKE BUILT PREFIX BINDIR
# Installs the systemd files into an empty root, and has systemd's own tools judge them there.
set -euo pipefail
cmake=$1 built=$2 prefix=$3 bindir=$4

failed=0
fail() { printf 'FAILED: %s\n' "$*"; failed=1; }
for tool in systemd-analyze systemd-sysusers systemd-tmpfiles; do
    command -v "$tool" >/dev/null || { echo "FAILED: $tool is missing: apt-get install systemd"; exit 1; }
done

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
DESTDIR=$root "$cmake" -P "$built/cmake_install.cmake" >/dev/null
unit=$root$prefix/lib/systemd/system/sluice.service
for file in "$unit" "$root$prefix/lib/sysusers.d/sluice.conf" "$root$prefix/lib/tmpfiles.d/sluice.conf"; do
    [ -s "$file" ] || fail "not installed: $file"
done
[ "$failed" = 0 ] || exit 1
! grep -n '@[A-Z_]*@' "$unit" || fail "a placeholder was not replaced"

# What the daemon, the documents and the unit have agreed upon.
agreed() { grep -qxF -- "$1" "$unit" || fail "the unit must say: $1"; }
agreed "ExecStart=$bindir/sluiced --config /etc/sluice/sluice.yaml --log-format journal"
agreed "ExecReload=$bindir/sluice reload"
agreed 'Type=notify'
agreed 'Restart=on-failure'
agreed 'RestartPreventExitStatus=64 74 78'
agreed 'TimeoutStopSec=45'
agreed 'WatchdogSec=30'
agreed 'User=sluice'
agreed 'ReadWritePaths=-/srv/sluice'

# verify looks for the programs, which this tree may not have built yet.
judged=$root/judged
mkdir -p "$judged"
printf '#!/bin/sh\n' >"$judged/sluiced"
cp "$judged/sluiced" "$judged/sluice"
chmod +x "$judged/sluiced" "$judged/sluice"
sed "s|$bindir/sluice|$judged/sluice|" "$unit" >"$judged/sluice.service"
# Unknown and doubtful settings are printed, and verify ends with 0 all the same.
said=$(systemd-analyze verify --man=no --recursive-errors=no "$judged/sluice.service" 2>&1) ||
    fail "systemd-analyze verify ended with $?"
[ -z "$said" ] || fail "systemd-analyze verify says: $said"

# The threshold is in tenths. Its table ends with the score.
security=$(systemd-analyze security --offline=true --threshold=15 --no-pager "$judged/sluice.service" 2>&1) ||
    fail "more exposed than 1.5: $(grep '✗' <<<"$security" || true)"
printf 'systemd %s: %s\n' "$(systemd-analyze --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')" \
    "$(grep 'Overall exposure' <<<"$security" || echo 'no score')"
grep -q 'Overall exposure' <<<"$security" || fail "systemd-analyze security gave no score: $security"

# The user, made in an empty root.
mkdir -p "$root/etc"
said=$(systemd-sysusers --root="$root" "$root$prefix/lib/sysusers.d/sluice.conf" 2>&1) ||
    fail "systemd-sysusers: $said"
grep -q '^sluice:.*:/var/lib/sluice:/usr/sbin/nologin$' "$root/etc/passwd" || fail "no user sluice was made: $said"
grep -q '^sluice:' "$root/etc/group" || fail "no group sluice was made"

# The directory, given to whoever runs this test: only root could give it to sluice.
sed "s/sluice sluice/$(id -u) $(id -g)/" "$root$prefix/lib/tmpfiles.d/sluice.conf" >"$judged/sluice.conf"
said=$(systemd-tmpfiles --create --root="$root" "$judged/sluice.conf" 2>&1) || fail "systemd-tmpfiles: $said"
[ -z "$said" ] || fail "systemd-tmpfiles says: $said"
[ "$(stat -c %a "$root/srv/sluice" 2>/dev/null)" = 750 ] || fail "/srv/sluice was not made with mode 0750"

[ "$failed" = 0 ] && echo "the systemd files are good"
exit "$failed"
