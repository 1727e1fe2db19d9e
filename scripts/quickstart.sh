#!/usr/bin/env bash
# quickstart.sh
#
# Sets up, builds, and runs the main job on real data: tune, train, prune, distill, quantize, measure, report.
# The commands are printed as they run; copy them to run a step by hand, with build/bin on the PATH. About five minutes on two cores.
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
mkdir -p "$folder"
touch "$folder/.quickstart"
run=$(printf %q "$folder")

# step COMMAND: shows it and runs it.
step() {
  local code=0
  printf '\n+ %s\n' "$1" >&2
  eval "$1" </dev/null || code=$?
  [ "$code" = 0 ] || die "$code" "exit code $code from: $1"
}

epochs=${DS_EPOCHS:+ --epochs $DS_EPOCHS}
finetune=${DS_EPOCHS:-4}
SECONDS=0

step "ds-tune run --space configs/spaces/mnist5k-small.yaml --trials $trials -o $run/study -- ds-train -c {config}$epochs"
step "ds-tune best $run/study > $run/best.yaml"
step "ds-train -c configs/mnist5k.yaml -c $run/best.yaml$epochs -o $run/base.h5"
step "ds-prune $run/base.h5 --ratio 0.5 --finetune-epochs $finetune -o $run/pruned.h5"
step "ds-distill $run/pruned.h5 --teacher $run/base.h5 --temperature 2.0 --soft-weight 0.7 --epochs $finetune -o $run/distilled.h5"
step "ds-quantize $run/distilled.h5 --method static -o $run/int8.h5"
step "ds-bench $run/base.h5 $run/distilled.h5 $run/int8.h5 --data mnist5k --format table"
step "ds-report $run/*.h5 -o $run/report.html"

printf '\n' >&2
say "the main job took $((SECONDS / 60)) min $((SECONDS % 60)) s"
if [ -f "$folder/report.html" ]; then say "open $(realpath "$folder")/report.html"; fi
