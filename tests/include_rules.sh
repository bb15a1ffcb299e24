#!/usr/bin/env bash
# include_rules.sh ROOT
# Who may include what, of that which is shipped: one place for each library, so that nothing else can tell
# which one is underneath, and in plugins nothing of the daemon's but headers that are all inline.
set -euo pipefail
cd "$1"
failed=0

# includes PATTERN FOLDER…: lines of these folders that include a header whose name begins so.
includes() {
    local pattern=$1
    shift
    grep -rnE --include='*.c' --include='*.h' --include='*.cpp' --include='*.hpp' \
        "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($pattern)" "$@" || true
}

# only PLACES PATTERN: nothing else includes such headers. Both are extended regular expressions.
only() {
    local found
    found=$(includes "$2" checkpoints daemon include plugins | grep -vE "^($1)" || true)
    [ -n "$found" ] || return 0
    printf 'FAILED: only %s may include %s:\n%s\n' "$1" "$2" "$found"
    failed=1
}
only 'daemon/kafka/|plugins/kafka/' '(librdkafka/)?rdkafka'
only 'checkpoints/rocksdb_backend\.cpp' 'rocksdb/'
only 'daemon/config/' 'yaml-cpp/'
only 'plugins/postgres/' '(postgresql/)?libpq'

only '(daemon/kafka|plugins/kafka)/' 'daemon/base/paced_socket'
found=$(includes '(daemon|checkpoints|tests)/' include plugins | grep -vE '"daemon/base/(failpoint|paced_socket)\.hpp"' || true)
if [ -n "$found" ]; then
    printf 'FAILED: plugins and their headers may include failpoint.hpp and paced_socket.hpp of daemon/base, and nothing else of the daemon:\n%s\n' "$found"
    failed=1
fi

[ "$failed" = 0 ] && echo "every include is where it may be"
exit "$failed"
