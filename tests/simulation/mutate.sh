#!/usr/bin/env bash
# Shows that the simulation can fail: applies each deliberate bug in mutations/ to a copy of the tree,
# builds the simulation alone, and says which seed is the first to notice.
#
#   tests/simulation/mutate.sh [NAME…]      names of patches, without .patch; all of them by default
#   tests/simulation/mutate.sh --check      only whether each of them still applies to this tree
#
# SLUICE_MUTATE_DIR     a copy that is there already, and is used as it is (default: a new one, removed at the end)
# SLUICE_MUTATE_PRESET  preset of CMake (default: test)
# SLUICE_MUTATE_SEEDS   how many seeds to try (default: 10000)
# Exit code: 0 when every bug was caught (--check: when every patch applies), 1 otherwise.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
preset=${SLUICE_MUTATE_PRESET:-test}
seeds=${SLUICE_MUTATE_SEEDS:-10000}
command -v patch >/dev/null || { echo "mutate.sh: patch is missing: apt-get install patch" >&2; exit 1; }

check=''
if [ "${1:-}" = --check ]; then check=1; shift; fi
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for patch in "$here"/mutations/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi

# All of them, before the first is built: what they change has moved on, and they have to follow.
check_patches() { # TREE
    local name said stale=0
    for name in "${names[@]}"; do
        said=$(patch --dry-run -f -p1 -d "$1" <"$here/mutations/$name.patch" 2>&1) && continue
        printf 'mutations/%s.patch does not apply any more: make it again\n%s\n' "$name" "$said" >&2
        stale=1
    done
    return "$stale"
}
if [ -n "$check" ]; then
    check_patches "$root"
    echo "${#names[@]} patches apply"
    exit 0
fi

if [ -n "${SLUICE_MUTATE_DIR:-}" ]; then
    copy=$SLUICE_MUTATE_DIR
else
    copy=$(mktemp -d)
    trap 'rm -rf "$copy"' EXIT
    git -C "$root" ls-files -z | tar -C "$root" --null -T - -c | tar -C "$copy" -x
    mkdir -p "$copy/build"
    [ ! -d "$root/build/deps" ] || ln -s "$root/build/deps" "$copy/build/deps"
fi
cd "$copy"
check_patches .
cmake --preset "$preset" >"$copy/build/mutate.log" 2>&1
folder=$(sed -n 's/.*Build files have been written to: //p' "$copy/build/mutate.log")

missed=0
printf '| bug | caught at seed | by |\n|---|---|---|\n'
for name in "${names[@]}"; do
    patch=$here/mutations/$name.patch
    patch -s --no-backup-if-mismatch -p1 <"$patch"
    if ! cmake --build "$folder" --target test_simulation >"$copy/build/mutate.log" 2>&1; then
        printf '| %s | does not build: %s | |\n' "$name" "$copy/build/mutate.log"
        missed=1
        patch -s -R --no-backup-if-mismatch -p1 <"$patch"
        continue
    fi
    set +e
    SLUICE_SEEDS=1..$seeds timeout 600 "$folder/tests/test_simulation" -tc='whatever*' >"$copy/build/mutate.out" 2>&1
    set -e
    by=$(grep -a '^SEED ' "$copy/build/mutate.out" | tail -1 || true)
    if [ -n "$by" ]; then
        text=${by#*: }
        printf '| %s | %s | %s |\n' "$name" "$(sed 's/^SEED \([0-9]*\):.*/\1/' <<<"$by")" "${text:0:110}"
    else
        printf '| %s | **not caught** | |\n' "$name"
        missed=1
    fi
    patch -s -R --no-backup-if-mismatch -p1 <"$patch"
done
exit $missed
