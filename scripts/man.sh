#!/usr/bin/env bash
# man.sh [--check]
#
# Writes man/ds-TOOL.1 of every tool, as the tool itself generates it, and removes the pages of tools that are gone.
# Run it after a change of any option: tests/cli/man.test.py fails while a page differs.
#
#   --check        write nothing, say which pages differ, end with 5 where any does
#   -h, --help     show this
#
# Environment: BIN, the folder of the tools (default: build/bin); MAN, that of the pages (default: man).
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

check=false
while [ $# -gt 0 ]; do
  case $1 in
    --check) check=true ;;
    -h | --help) help && exit 0 ;;
    *) die 2 "unknown option '$1' (see --help)" ;;
  esac
  shift
done
bin=${BIN:-${DS_BUILD_DIR:-$DS_ROOT/build}/bin} pages=${MAN:-$DS_ROOT/man}
[ -x "$bin/ds-train" ] || die 4 "no tools in $bin: run scripts/build.sh first"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

differ=0
for source in "$DS_ROOT"/tools/ds_*.cpp; do
  name=$(basename "$source" .cpp)
  name=${name//_/-}
  # Options of the environment are none of the page's business, but a stray one would be an error.
  env -i PATH="$PATH" "$bin/$name" --generate man >"$scratch/$name.1"
done
for page in "$pages"/ds-*.1; do
  name=$(basename "$page")
  if [ -e "$page" ] && [ ! -e "$scratch/$name" ]; then
    differ=$((differ + 1))
    say "$page: no such tool"
    $check || rm "$page"
  fi
done
for page in "$scratch"/ds-*.1; do
  name=$(basename "$page")
  cmp -s "$page" "$pages/$name" && continue
  differ=$((differ + 1))
  say "$pages/$name: differs from what the tool generates"
  $check || cp "$page" "$pages/$name"
done
if $check && [ $differ -gt 0 ]; then die 5 "$differ pages differ: run scripts/man.sh"; fi
say "$(find "$scratch" -name '*.1' | wc -l) pages, $differ $($check && echo differ || echo written)"
