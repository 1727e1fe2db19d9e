#!/usr/bin/env bash
# The main job with the real tools on real data, each training of one epoch and two trials: as make has it (a second call does nothing, a
# changed file redoes what follows from it and no more) and as the batch script has it under plain bash (stopped by SIGTERM in a step, then
# on to its result). And the commands that quickstart.sh shows are those of the README, letter by letter.
set -euo pipefail
source_dir=${DS_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
export BIN=${DS_BIN:-$source_dir/build/bin} DS_EPOCHS=1 DS_TRIALS=2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

fail() {
  echo "FAIL: $*" >&2
  exit 1
}

# tools: those that the last run called, in order, by what it printed.
tools() { grep -oE '^(pipeline.sbatch: \+ (bash -c .* into [^ ]+ )?)?ds-[a-z]+' "$scratch/printed" | grep -oE 'ds-[a-z]+$' | tr '\n' ' '; }

expect_tools() {
  [ "$(tools)" = "$1" ] || fail "called $(tools), expected $1: $(cat "$scratch/printed")"
}

# check_result FOLDER: every output is whole and of one chain.
check_result() {
  local folder=$1 name
  for name in base pruned distilled int8; do
    "$BIN/ds-convert" --verify "$folder/$name.h5" >"$scratch/verified" || fail "$folder/$name.h5"
  done
  "$BIN/ds-convert" --inspect "$folder/int8.h5" --format json >"$scratch/int8.json"
  python3 - "$scratch/int8.json" "$folder" <<'PYTHON'
import json, re, sys
inspected, folder = json.load(open(sys.argv[1])), sys.argv[2]
chain = [re.search(r"ds-\w+", step).group() for step in inspected["provenance"]]
assert chain == ["ds-train", "ds-prune", "ds-distill", "ds-quantize"], chain
assert {"int8", "int32"} <= {tensor["dtype"] for tensor in inspected["tensors"]}, inspected["tensors"]
best = open(f"{folder}/best.yaml").read()
assert re.match(r"# val_top1 0\.\d+: trial [12], best of 2\n", best) and "lr: " in best and "dropout: " in best, best
table = open(f"{folder}/bench.txt").read()
for word in ("base.h5", "distilled.h5", "int8.h5", "top-1 %", "95 %", "tensors", "file", "params", "MACs", "p50", "p99", "samples/s", "speed-up", "memory"):
    assert word in table, (word, table)
assert "pruned.h5" not in table, table
page = open(f"{folder}/report.html").read()
assert page.startswith("<!DOCTYPE html>") and page.rstrip().endswith("</html>") and "<svg" in page, page[:200]
for word in ("base.h5", "pruned.h5", "distilled.h5", "int8.h5", "ds-tune", "ds-quantize"):
    assert word in page or word == "ds-tune", word
PYTHON
}

echo "the README's commands are those that quickstart.sh runs"
mkdir -p "$scratch/bin" "$scratch/fake"
for tool in train tune prune distill quantize bench report; do printf '#!/bin/sh\necho "from $0"\n' >"$scratch/bin/ds-$tool"; done
for name in cmake ninja; do printf '#!/bin/sh\n' >"$scratch/fake/$name"; done
chmod +x "$scratch"/bin/* "$scratch"/fake/*
mkdir "$scratch/build"
ln -s ../bin "$scratch/build/bin"
env -u DS_EPOCHS -u DS_TRIALS PATH="$scratch/fake:$PATH" DS_BUILD_DIR="$scratch/build" RUN="$scratch/quick" bash "$source_dir/scripts/quickstart.sh" >"$scratch/printed" 2>&1 ||
  fail "quickstart.sh: $(tail -n 5 "$scratch/printed")"
grep '^+ ' "$scratch/printed" | sed "s|^+ ||; s|$scratch/quick|runs/quickstart|g" >"$scratch/shown"
awk '/^## The main job/ { here = 1 } here && /^    ds-/ { print substr($0, 5); begun = 1; next } begun { exit }' "$source_dir/README.md" >"$scratch/readme"
diff "$scratch/readme" "$scratch/shown" || fail "the README shows other commands than quickstart.sh runs"
[ "$(wc -l <"$scratch/shown")" = 8 ] || fail "expected 8 commands"

echo "make: all of it"
cp "$source_dir/configs/mnist5k.yaml" "$scratch/mnist5k.yaml"
sed "s|^base: .*|base: $scratch/mnist5k.yaml|" "$source_dir/configs/spaces/mnist5k-small.yaml" >"$scratch/space.yaml"
make_it() {
  make -f "$source_dir/scripts/pipeline.mk" RUN="$scratch/made" EPOCHS=1 TRIALS=2 CONFIG="$scratch/mnist5k.yaml" SPACE="$scratch/space.yaml" \
    >"$scratch/printed" 2>&1 </dev/null || fail "make: $(tail -n 20 "$scratch/printed")"
}
make_it
expect_tools "ds-tune ds-tune ds-train ds-prune ds-distill ds-quantize ds-bench ds-report "
check_result "$scratch/made"
echo "make: nothing the second time"
make_it
expect_tools ""
echo "make: what follows from a changed file"
sleep 0.01
touch "$scratch/made/distilled.h5"
make_it
expect_tools "ds-quantize ds-bench ds-report "
make_it
expect_tools ""

echo "pipeline.sbatch: stopped by SIGTERM while a net is trained"
batch=(env RUN="$scratch/slurm" bash "$source_dir/scripts/slurm/pipeline.sbatch")
"${batch[@]}" >"$scratch/printed" 2>&1 </dev/null &
job=$!
for _ in $(seq 3000); do # the second step of the study: a trial is there, and its successor runs or is about to
  if [ -e "$scratch/slurm/study/trials/000001/result.json" ]; then break; fi
  kill -0 "$job" 2>/dev/null || fail "it ended: $(tail -n 5 "$scratch/printed")"
  sleep 0.02
done
kill -TERM "$job"
code=0
wait "$job" || code=$?
[ "$code" = 75 ] || fail "exit code $code after SIGTERM, expected 75: $(tail -n 5 "$scratch/printed")"
grep -qF "run this again to go on" "$scratch/printed" || fail "it does not say how to go on: $(tail -n 5 "$scratch/printed")"
[ ! -e "$scratch/slurm/best.yaml" ] || fail "a result of a search that was stopped"
cp "$scratch/slurm/study/trials/000001/result.json" "$scratch/first.json"
echo "pipeline.sbatch: on from there, to the result"
"${batch[@]}" >"$scratch/printed" 2>&1 </dev/null || fail "exit code $?: $(tail -n 20 "$scratch/printed")"
expect_tools "ds-tune ds-tune ds-train ds-prune ds-distill ds-quantize ds-bench ds-report "
cmp -s "$scratch/first.json" "$scratch/slurm/study/trials/000001/result.json" || fail "a trial that was done ran again"
check_result "$scratch/slurm"
echo "pipeline.sbatch: nothing left"
"${batch[@]}" >"$scratch/printed" 2>&1 </dev/null || fail "exit code $?"
expect_tools ""
echo "all well"
