#!/usr/bin/env bash
# build.sh [--configure-only] [--target NAME]...
#
# Configures and builds into build/: Release, unity batches, Ninja. A second run rebuilds only what changed.
# Takes LibTorch from what setup.sh wrote down, and runs setup.sh where it has not run yet.
#
#   --configure-only  stop before compiling
#   --target NAME     build only this (repeatable), such as ds, tools/all or test_graph
#   -h, --help        show this
#
# Environment:
#   DS_BUILD_DIR   the build folder (default: build in the source tree)
#   DS_JOBS        compilers at once (default: as the cores and the memory allow, 1.5 GB each)
#   DS_HOME, DS_TORCH_DIR, DS_CUDART_DIR  as in setup.sh
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

configure_only=false
targets=()
while [ $# -gt 0 ]; do
  case $1 in
    --configure-only) configure_only=true ;;
    --target)
      [ $# -gt 1 ] || die 2 "--target needs a name"
      targets+=("$2")
      shift
      ;;
    -h | --help) help && exit 0 ;;
    *) die 2 "unknown option '$1' (see --help)" ;;
  esac
  shift
done
jobs=${DS_JOBS:-$(build_jobs)}
[[ $jobs =~ ^[1-9][0-9]*$ ]] || die 2 "DS_JOBS=$jobs: expected a number above zero"
folder=${DS_BUILD_DIR:-$DS_ROOT/build}

set_home
read_home
if [ ! -f "$DS_TORCH_DIR/lib/libtorch_cpu.so" ]; then
  bash "$DS_ROOT/scripts/setup.sh"
  read_home
fi
say "torch: $DS_TORCH_DIR"

# What the build folder was configured with, "" where it was not.
cached() { sed -nE "s|^$1:[A-Z]+=||p" "$folder/CMakeCache.txt" 2>/dev/null || true; }

# CMake runs only when an answer differs; ninja itself sees new and lost files (CONFIGURE_DEPENDS).
configure=(-DCMAKE_BUILD_TYPE=Release -DDS_UNITY=ON -DDS_TESTS=ON "-DDS_TORCH_DIR=$DS_TORCH_DIR" "-DDS_CUDART_DIR=$DS_CUDART_DIR")
fresh=()
same=true
for setting in CMAKE_HOME_DIRECTORY="$DS_ROOT" CMAKE_GENERATOR=Ninja "${configure[@]#-D}"; do
  [ "$(cached "${setting%%=*}")" = "${setting#*=}" ] && continue
  same=false
  case $setting in
    CMAKE_HOME_DIRECTORY=* | CMAKE_GENERATOR=* | DS_*_DIR=*) fresh=(--fresh) ;; # paths that CMake found before would stay
  esac
done
if ! $same || [ ! -f "$folder/build.ninja" ]; then
  say "configuring $folder"
  cmake -S "$DS_ROOT" -B "$folder" -G Ninja "${fresh[@]}" "${configure[@]}" >&2 || die 1 "CMake failed, see above"
fi
if $configure_only; then exit 0; fi

say "building ${targets[*]:-everything} with $jobs jobs"
ninja -C "$folder" -j "$jobs" "${targets[@]}" >&2 || die 1 "the build failed, see above"
say "done: $folder/bin"
