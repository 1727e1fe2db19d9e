# shellcheck shell=bash
# What the scripts share. Source it after `set -euo pipefail`. Exit codes are those of the tools: 2 usage, 3 bad input, 4 resource.

# shellcheck disable=SC2034
DS_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SCRIPT=$(basename "$0")

say() { printf '%s: %s\n' "$SCRIPT" "$*" >&2; }

die() {
  local code=$1
  shift
  printf '%s: error: %s\n' "$SCRIPT" "$*" >&2
  exit "$code"
}

# The comment block at the head of the script is its help.
help() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

# Where LibTorch and the data sets live; the tools look in the same place.
set_home() {
  if [ -z "${DS_HOME:-}" ]; then
    [ -n "${XDG_CACHE_HOME:-}${HOME:-}" ] || die 4 "neither DS_HOME, XDG_CACHE_HOME nor HOME is set; set DS_HOME to a folder for LibTorch and the data sets"
    DS_HOME="${XDG_CACHE_HOME:-${HOME:-}/.cache}/ds"
  fi
  case $DS_HOME in /*) ;; *) DS_HOME=$PWD/$DS_HOME ;; esac
}

# What set-up found; DS_TORCH_DIR and DS_CUDART_DIR of the environment come first.
read_home() {
  local torch=${DS_TORCH_DIR:-} cudart=${DS_CUDART_DIR:-}
  # shellcheck disable=SC1091
  [ ! -f "$DS_HOME/env" ] || . "$DS_HOME/env"
  export DS_TORCH_DIR=${torch:-${DS_TORCH_DIR:-}}
  export DS_CUDART_DIR=${cudart:-${DS_CUDART_DIR:-}}
}

# Compilers at once: no more than the cores, the memory (1.5 GB each) and the limits of the cgroup allow.
build_jobs() {
  local jobs by_memory quota period limit used
  jobs=$(nproc)
  by_memory=$(awk '/^MemAvailable:/ { print int($2 / 1572864) }' /proc/meminfo)
  if [ -r /sys/fs/cgroup/memory.max ] && read -r limit </sys/fs/cgroup/memory.max && [ "$limit" != max ]; then
    used=$(awk '$1 == "anon" { print $2 }' /sys/fs/cgroup/memory.stat 2>/dev/null || true)
    limit=$(((limit - ${used:-0}) / 1610612736))
    [ "$limit" -ge "$by_memory" ] || by_memory=$limit
  fi
  if [ -r /sys/fs/cgroup/cpu.max ] && read -r quota period </sys/fs/cgroup/cpu.max && [ "$quota" != max ]; then
    quota=$(((quota + period - 1) / period))
    [ "$quota" -ge "$jobs" ] || jobs=$quota
  fi
  [ "$by_memory" -ge "$jobs" ] || jobs=$by_memory
  [ "$jobs" -ge 1 ] || jobs=1
  echo "$jobs"
}

# output_option DEFAULT ARGUMENTS: sets $output for a script whose only options are -o and -h.
output_option() {
  output=$1
  shift
  while [ $# -gt 0 ]; do
    case $1 in
      -o | --output)
        [ $# -gt 1 ] || die 2 "$1 needs a path"
        output=$2
        shift
        ;;
      -h | --help) help && exit 0 ;;
      *) die 2 "unknown option '$1' (see --help)" ;;
    esac
    shift
  done
}
