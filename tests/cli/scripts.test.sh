#!/usr/bin/env bash
# The scripts from the outside: syntax, help, refusals, set-up that starts in seconds, and the order of the pipelines' steps.
# Tools are played by small shell programs here: what the real ones make of the pipeline is tests/pipeline's matter.
set -euo pipefail
source_dir=${DS_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" # none of them may care where it is called from

fail() {
  echo "FAIL: $*" >&2
  exit 1
}

# expect CODE TEXT COMMAND...: the exit code, and TEXT somewhere in what it prints.
expect() {
  local want=$1 text=$2 code=0
  shift 2
  "$@" >"$scratch/printed" 2>&1 </dev/null || code=$?
  [ "$code" = "$want" ] || fail "exit code $code, expected $want: $* : $(tail -n 5 "$scratch/printed")"
  [ -z "$text" ] || grep -qF -- "$text" "$scratch/printed" || fail "no '$text' in what this printed: $* : $(tail -n 5 "$scratch/printed")"
}

echo "syntax"
mapfile -t scripts < <(find "$source_dir/scripts" "$source_dir/.ci" -name '*.sh' -o -name '*.sbatch' -o -path '*/.ci/run' | sort)
[ ${#scripts[@]} -ge 7 ] || fail "only ${#scripts[@]} scripts were found"
for script in "${scripts[@]}"; do
  bash -n "$script" || fail "$script: syntax"
done

echo "help and refusals"
for script in "${scripts[@]}"; do
  case $script in */lib/* | */.ci/run) continue ;; esac
  expect 0 "$(basename "$script")" bash "$script" --help
done
for name in setup.sh build.sh quickstart.sh picture.sh data/fortunes.sh data/bible.sh slurm/pipeline.sbatch; do
  expect 2 "unknown option '--nonsense'" bash "$source_dir/scripts/$name" --nonsense
done
expect 2 "DS_JOBS=none" env DS_JOBS=none bash "$source_dir/scripts/build.sh"
expect 3 "DS_TORCH_DIR=$scratch" env DS_TORCH_DIR="$scratch" bash "$source_dir/scripts/setup.sh" --no-packages
expect 4 "set DS_HOME" env -u HOME -u XDG_CACHE_HOME -u DS_HOME bash "$source_dir/scripts/setup.sh" --no-packages
expect 3 "no such file" bash "$source_dir/scripts/picture.sh" "$scratch/none.html" -o "$scratch/picture.png"
touch "$scratch/page.html"
expect 4 "no Chromium" env BROWSER=no-such-browser bash "$source_dir/scripts/picture.sh" "$scratch/page.html" -o "$scratch/picture.png"
[ ! -e "$scratch/picture.png" ] || fail "picture.sh left a picture that it had not drawn"
mkdir "$scratch/mine"
expect 2 "was not made by this script" env RUN="$scratch/mine" bash "$source_dir/scripts/quickstart.sh"
[ -d "$scratch/mine" ] || fail "quickstart.sh removed a folder that it had not made"
expect 0 "make -f scripts/pipeline.mk" make -f "$source_dir/scripts/pipeline.mk" help
expect 2 "run scripts/build.sh first" make -f "$source_dir/scripts/pipeline.mk" BIN="$scratch/none"
expect 4 "run scripts/build.sh first" env BIN="$scratch/none" bash "$source_dir/scripts/slurm/pipeline.sbatch"

echo "set-up, the second time"
home=${DS_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/ds}
[ -f "$home/env" ] || fail "$home/env is not there: run scripts/setup.sh first"
start=$(date +%s%N)
expect 0 "setup.sh: done" bash "$source_dir/scripts/setup.sh"
took=$((($(date +%s%N) - start) / 1000000))
echo "  $took ms"
[ "$took" -lt 5000 ] || fail "took $took ms, expected less than 5000"

echo "packages: the exact line where they may not be installed"
mkdir "$scratch/fake"
printf '#!/bin/sh\nexit 1\n' >"$scratch/fake/sudo"
printf '#!/bin/sh\necho "g++ installed"\n' >"$scratch/fake/dpkg-query"
printf '#!/bin/sh\necho 1000\n' >"$scratch/fake/id"
chmod +x "$scratch"/fake/*
expect 4 "run: sudo apt-get install -y --no-install-recommends ca-certificates ccache cmake" \
  env PATH="$scratch/fake:$PATH" bash "$source_dir/scripts/setup.sh"
if grep -qw 'g++' "$scratch/printed"; then fail "names g++, which is installed"; fi

echo "data"
convert=$source_dir/scripts/data/make_idx.py
python3 - "$home/data" <<'PYTHON'
import collections, json, os, struct, sys
for name, side, classes in (("mnist5k", 28, {"train": 350, "val": 50, "test": 100}), ("digits", 8, None)):
    folder = os.path.join(sys.argv[1], name)
    total, pixels_seen = 0, []
    for split in ("train", "val", "test"):
        images = open(os.path.join(folder, f"{split}-images-idx3-ubyte"), "rb").read()
        labels = open(os.path.join(folder, f"{split}-labels-idx1-ubyte"), "rb").read()
        magic, count, rows, columns = struct.unpack(">IIII", images[:16])
        assert (magic, rows, columns) == (0x803, side, side) and len(images) == 16 + count * side * side, (name, split)
        assert struct.unpack(">II", labels[:8]) == (0x801, count) and len(labels) == 8 + count, (name, split)
        per_class = collections.Counter(labels[8:])
        assert sorted(per_class) == list(range(10)), (name, split, per_class)
        if classes:
            assert set(per_class.values()) == {classes[split]}, (name, split, per_class)
        if split == "train":
            counts = collections.Counter(images[16:])
            number = sum(counts.values())
            mean = sum(v * n for v, n in counts.items()) / number
            std = (sum(v * v * n for v, n in counts.items()) / number - mean * mean) ** 0.5
            info = json.load(open(os.path.join(folder, "dataset.json")))
            assert info["shape"] == [1, side, side] and info["num_classes"] == 10, info
            assert abs(info["mean"][0] - mean * info["scale"]) < 1e-4 and abs(info["std"][0] - std * info["scale"]) < 1e-4, (info, mean, std)
        total += count
    assert total == {"mnist5k": 5000, "digits": 1797}[name], total
PYTHON
expect 0 "" python3 "$convert" check digits "$home/data/digits"
cp -r "$home/data/digits" "$scratch/digits"
printf 'x' | dd of="$scratch/digits/val-images-idx3-ubyte" bs=1 seek=100 conv=notrunc status=none
expect 1 "" python3 "$convert" check digits "$scratch/digits"
printf 'not the file' >"$scratch/source.csv.gz"
expect 3 "expected 09f66e6d" python3 "$convert" make digits "$scratch/source.csv.gz" "$scratch/new"
[ ! -e "$scratch/new" ] || fail "a refused source left a folder"

# --- pipelines --------------------------------------------------------------------------------------------------
# A tool notes its call, writes what -o names (not over a file that is there without -f) and prints a line. ds-distill waits for a
# signal where $WAIT is there, keeps <output>.partial and exits 75, as the real ones do.
mkdir "$scratch/bin"
cat >"$scratch/bin/ds-train" <<'TOOL'
#!/usr/bin/env bash
name=$(basename "$0")
echo "$name $*" >>"$CALLS"
output="" force=false
if [ "$name $1" = "ds-tune run" ]; then
  mkdir -p "$(printf '%s\n' "$@" | sed -n '/^-o$/{n;p;}')"
  exit 0
fi
while [ $# -gt 0 ]; do
  case $1 in
    -o) output=$2 && shift ;;
    -f) force=true ;;
  esac
  shift
done
echo "from $name"
[ -n "$output" ] || exit 0
if [ -e "$output" ] && ! $force; then exit 2; fi
if [ "$name" = ds-distill ] && [ -n "${WAIT:-}" ]; then
  trap 'echo state >"$output.partial"; exit 75' TERM
  touch "$WAIT"
  while :; do sleep 0.1; done
fi
echo "$name" >"$output"
TOOL
chmod +x "$scratch/bin/ds-train"
for name in ds-tune ds-prune ds-distill ds-quantize ds-bench ds-report; do ln -s ds-train "$scratch/bin/$name"; done
export CALLS=$scratch/calls

called() { cut -d ' ' -f 1 "$CALLS" 2>/dev/null | tr '\n' ' '; }

expect_calls() {
  [ "$(called)" = "$1" ] || fail "called $(called), expected $1"
  rm -f "$CALLS"
}
all="ds-tune ds-tune ds-train ds-prune ds-distill ds-quantize ds-bench ds-report "

echo "quickstart.sh: the main job's commands, fresh each time"
mkdir -p "$scratch/build"
ln -s ../bin "$scratch/build/bin"
for name in cmake ninja; do printf '#!/bin/sh\n' >"$scratch/fake/$name"; done
rm "$scratch"/fake/{id,sudo,dpkg-query}
chmod +x "$scratch"/fake/*
for _ in 1 2; do
  expect 0 "report.html" env PATH="$scratch/fake:$PATH" DS_BUILD_DIR="$scratch/build" RUN="$scratch/quick start" DS_TRIALS=3 \
    bash "$source_dir/scripts/quickstart.sh"
  grep -qxF "ds-bench $scratch/quick start/base.h5 $scratch/quick start/distilled.h5 $scratch/quick start/int8.h5 --data mnist5k --format table" "$CALLS" ||
    fail "ds-bench was called otherwise: $(cat "$CALLS")"
  expect_calls "$all"
done
grep -qF "the main job took 0 min" "$scratch/printed" || fail "no time was printed"

echo "pipeline.mk: all, then nothing, then what changed"
touch "$scratch/config.yaml" "$scratch/space.yaml"
make_it=(make -f "$source_dir/scripts/pipeline.mk" BIN="$scratch/bin" RUN="$scratch/made" EPOCHS=1 TRIALS=2
  CONFIG="$scratch/config.yaml" SPACE="$scratch/space.yaml")
expect 0 "open $scratch/made/report.html" "${make_it[@]}"
grep -qF -- "--trials 2 -o $scratch/made/study -- ds-train -c {config} --epochs 1" "$CALLS" || fail "ds-tune was called otherwise: $(head -n 1 "$CALLS")"
expect_calls "$all"
expect 0 "open $scratch/made/report.html" "${make_it[@]}"
expect_calls ""
touch "$scratch/made/distilled.h5"
expect 0 "" "${make_it[@]}"
expect_calls "ds-quantize ds-bench ds-report "
sleep 0.01
touch "$scratch/config.yaml"
expect 0 "" "${make_it[@]}"
expect_calls "$all" # the search trains with that config too

echo "pipeline.sbatch: stopped in a step, then on from there"
slurm=(env BIN="$scratch/bin" RUN="$scratch/slurm" DS_EPOCHS=1 DS_TRIALS=2 SLURM_CPUS_PER_TASK=2 bash "$source_dir/scripts/slurm/pipeline.sbatch")
env WAIT="$scratch/waiting" "${slurm[@]}" >"$scratch/printed" 2>&1 </dev/null &
job=$!
for _ in $(seq 300); do
  if [ -e "$scratch/waiting" ]; then break; fi
  sleep 0.1
done
[ -e "$scratch/waiting" ] || fail "it never came to ds-distill: $(tail -n 5 "$scratch/printed")"
kill -USR1 "$job"
code=0
wait "$job" || code=$?
[ "$code" = 75 ] || fail "exit code $code after SIGUSR1, expected 75: $(tail -n 5 "$scratch/printed")"
[ -e "$scratch/slurm/distilled.h5.partial" ] || fail "the tool that ran was not told to save"
expect_calls "ds-tune ds-tune ds-train ds-prune ds-distill "
expect 0 "done: $scratch/slurm/report.html" "${slurm[@]}"
grep -qF -- "--threads 2 --resume auto -o $scratch/slurm/distilled.h5" "$CALLS" || fail "ds-distill was not called to resume"
expect_calls "ds-distill ds-quantize ds-bench ds-report "
expect 0 "there already" "${slurm[@]}"
expect_calls ""
echo "all well"
