#!/bin/bash
# run.sh HOURS BUILD [TARGET...]: fuzzes each target for HOURS, as many at a time as there are CPUs, and prints what it
# executed in how much CPU time; BUILD/fuzz_totals.txt adds up all runs.  The corpus grows in BUILD/corpus; what breaks a
# promise is left as BUILD/findings/TARGET-*: put it, made small, into tests/fuzz/corpus/TARGET with the fix.
set -euo pipefail
cd "$(dirname "$0")"
seconds=$(awk -v hours="$1" 'BEGIN { printf "%d", hours * 3600 }')
build=$(cd ../.. && realpath "$2")
shift 2
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then targets=(gguf model picture text api); fi
mkdir -p "$build/findings"
"$build/tests/fuzz/clipon_make_seeds" "$build/corpus"

run() {
  local target=$1
  mkdir -p "$build/corpus/$target"
  TIMEFORMAT='cpu_seconds %U %S'
  { time "$build/tests/fuzz/fuzz_$target" -max_total_time="$seconds" -timeout=30 -rss_limit_mb=2048 -print_final_stats=1 \
    -max_len="$2" -artifact_prefix="$build/findings/$target-" "$build/corpus/$target" $(ls -d "corpus/$target" 2> /dev/null) \
    ; } > "$build/fuzz_$target.log" 2>&1 || echo "fuzz_$target: see $build/fuzz_$target.log and $build/findings"
  awk -v target="$target" '/number_of_executed_units/ { units = $2 } /^cpu_seconds/ { cpu = $2 + $3 }
    END { printf "%-8s %12d executions in %6d CPU seconds\n", target, units, cpu }' "$build/fuzz_$target.log" |
    tee -a "$build/fuzz_totals.txt"
}
for target in "${targets[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n || true; done
  case $target in
    gguf | picture) run "$target" 4096 & ;;
    model) run "$target" 32768 & ;;
    api) run "$target" 512 & ;;  # several calls
    *) run "$target" 64 & ;;
  esac
done
wait
awk '{ units[$1] += $2; cpu[$1] += $5; all += $5 }
  END { for (target in units) printf "%-8s %12d executions in %6d CPU seconds, all runs\n", target, units[target], cpu[target]
        printf "%.1f CPU hours, all runs\n", all / 3600 }' "$build/fuzz_totals.txt"
[ -z "$(ls -A "$build/findings")" ]
