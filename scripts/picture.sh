#!/usr/bin/env bash
# picture.sh [REPORT]
#
# Makes man/report.png, the picture that README.md shows, from a report of ds-report (default: runs/quickstart/report.html),
# as a headless Chromium draws it in the light style.
#
#   -o FILE        write there instead
#   -h, --help     show this
#
# Environment: BROWSER, the program (default: chromium, chromium-browser, google-chrome, whichever there is).
# Exit codes: 0 done, 2 usage, 3 the report is missing, 4 no browser, or it drew nothing.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

WIDTH=1200 HEIGHT=2420   # down to the first matrix and its mistakes
SCALE=0.9                # README.md shows it smaller anyway
MOST=300000              # bytes of the picture: it is committed

report='' output=$DS_ROOT/man/report.png
while [ $# -gt 0 ]; do
  case $1 in
    -o) [ $# -gt 1 ] || die 2 "-o needs a file"; output=$2; shift ;;
    -h | --help) help && exit 0 ;;
    -*) die 2 "unknown option '$1' (see --help)" ;;
    *) [ -z "$report" ] || die 2 "more than one report"; report=$1 ;;
  esac
  shift
done
report=${report:-$DS_ROOT/runs/quickstart/report.html}
[ -f "$report" ] || die 3 "$report: no such file; scripts/quickstart.sh makes one"
for browser in ${BROWSER:-chromium chromium-browser google-chrome}; do
  command -v "$browser" >/dev/null && break
  browser=''
done
[ -n "$browser" ] || die 4 "no Chromium to draw with; install one (Debian: apt-get install chromium) or name it in BROWSER"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
sandbox=()
[ "$(id -u)" != 0 ] || sandbox=(--no-sandbox) # root has none
"$browser" --headless "${sandbox[@]}" --disable-gpu --hide-scrollbars --force-device-scale-factor="$SCALE" --blink-settings=preferredColorScheme=1 \
  --user-data-dir="$scratch/profile" --window-size="$WIDTH,$HEIGHT" --screenshot="$scratch/report.png" \
  "file://$(realpath "$report")" >"$scratch/log" 2>&1 || die 4 "$browser: $(tail -n 1 "$scratch/log")"
[ -s "$scratch/report.png" ] || die 4 "$browser drew nothing: $(tail -n 1 "$scratch/log")"
bytes=$(stat -c %s "$scratch/report.png")
[ "$bytes" -le "$MOST" ] || die 4 "the picture has $bytes bytes, at most $MOST"
mv "$scratch/report.png" "$output"
say "$output: $bytes bytes"
