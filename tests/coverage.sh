#!/bin/bash
# coverage.sh PYTHON BUILD: lines of the library that the tests of BUILD reached, and of its parsers.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
report() {  # report MINIMUM FILTER...
  local minimum=$1 filters=()
  shift
  for pattern in "$@"; do filters+=(--filter "$root/include/clipon/$pattern"); done
  "$python" -m gcovr --root "$root" "${filters[@]}" --exclude '.*unicode_tables.*' --gcov-ignore-parse-errors=all \
    --merge-mode-functions=separate --fail-under-line "$minimum" "$build"
}
python=$1
build=$2
echo "== own code: 90 % of lines"
report 90 ''
echo "== parsers: 95 % of lines"
report 95 'format/' 'image/jpeg' 'image/png' 'image/decode' 'text/utf8' 'text/html' 'text/clean' 'text/split' 'core/utf8'
