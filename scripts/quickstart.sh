#!/usr/bin/env bash
# quickstart.sh
#
# Sets up, builds, and runs the main job on real data: tune, train, prune, distill, quantize, measure, report.
# The commands are shown as they run; copy them to run a step by hand, with build/bin on the PATH. About five minutes on two cores.
# The records that they print are kept in records/ of the folder of results; the table of measures comes last, on stdout.
#
#   -h, --help     show this
#
# Environment:
#   RUN            the folder of results (default: runs/quickstart in the source tree); that of the last quickstart is removed
#   DS_TRIALS      trials of the search (default 6)
#   DS_EPOCHS      epochs of every training, for a quick look (default: as configured)
#   that of setup.sh and build.sh
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

case ${1:-} in
  -h | --help) help && exit 0 ;;
  ?*) die 2 "unknown option '$1' (see --help)" ;;
esac
folder=${RUN:-runs/quickstart}
case ${RUN:-/} in /*) ;; *) folder=$PWD/$RUN ;; esac
trials=${DS_TRIALS:-6}
bin=${DS_BUILD_DIR:-$DS_ROOT/build}/bin
cd "$DS_ROOT"

if [ -e "$folder" ] && [ ! -f "$folder/.quickstart" ]; then
  die 2 "$folder: exists and was not made by this script; remove it or set RUN to another folder"
fi
bash scripts/setup.sh
bash scripts/build.sh --target ds --target tools/all
export PATH=$bin:$PATH
rm -rf "$folder"
mkdir -p "$folder/records"
touch "$folder/.quickstart"
run=$(printf %q "$folder")

# facts FILE: the main figures of a record, on one line.
facts() {
  awk '/^metrics:/ { inside = 1; next }
    /^[^ ]/ { inside = 0 }
    inside { metric[substr($1, 1, length($1) - 1)] = $2 }
    function add(text) { line = line (line == "" ? "  " : ", ") text }
    END {
      if ("val_top1" in metric) add(sprintf("validation %.1f %%", 100 * metric["val_top1"]))
      if ("before_val_top1" in metric) line = line sprintf(" (before: %.1f %%)", 100 * metric["before_val_top1"])
      if ("test_top1" in metric) add(sprintf("test %.1f %%", 100 * metric["test_top1"]))
      if ("parameters" in metric) add(metric["parameters"] " parameters")
      if ("tensor_bytes" in metric) add(sprintf("%.1f kB", metric["tensor_bytes"] / 1000))
      if (line != "") print line
    }' "$1" >&2
}

# step NAME TEXT COMMAND: says what it is for, shows it and runs it. What it prints, mostly a result record, is kept in records/NAME.
steps=0
step() {
  local code=0 record=$folder/records/$1
  steps=$((steps + 1))
  printf '\n%s. %s\n+ %s\n' "$steps" "$2" "$3" >&2
  # A command that names where its output goes has its own redirection within.
  eval "{ $3; }" </dev/null >"$record" || code=$?
  [ "$code" = 0 ] || die "$code" "exit code $code from: $3"
  if [ -s "$record" ]; then facts "$record"; else rm "$record"; fi
}

epochs=${DS_EPOCHS:+ --epochs $DS_EPOCHS}
finetune=${DS_EPOCHS:-4}
SECONDS=0

step tune.yaml "search for a good learning rate and dropout" \
  "ds-tune run --space configs/spaces/mnist5k-small.yaml --trials $trials -o $run/study -- ds-train -c {config}$epochs"
step best.txt "the best of them, as a config file" "ds-tune best $run/study > $run/best.yaml"
step train.yaml "train a net with it" "ds-train -c configs/mnist5k.yaml -c $run/best.yaml$epochs -o $run/base.h5"
step prune.yaml "remove half of its channels and fine-tune the rest" \
  "ds-prune $run/base.h5 --ratio 0.5 --finetune-epochs $finetune -o $run/pruned.h5"
step distill.yaml "let the pruned net learn from the whole one" \
  "ds-distill $run/pruned.h5 --teacher $run/base.h5 --temperature 2.0 --soft-weight 0.7 --epochs $finetune -o $run/distilled.h5"
step quantize.yaml "make it int8" "ds-quantize $run/distilled.h5 --method static -o $run/int8.h5"
step bench.txt "measure all three" "ds-bench $run/base.h5 $run/distilled.h5 $run/int8.h5 --data mnist5k --format table"
step report.yaml "put everything on one page" "ds-report $run/*.h5 -o $run/report.html"

printf '\n' >&2
cat "$folder/records/bench.txt"
printf '\n' >&2
say "the main job took $((SECONDS / 60)) min $((SECONDS % 60)) s"
say "open $(realpath "$folder")/report.html"
