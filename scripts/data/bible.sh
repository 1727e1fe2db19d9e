#!/usr/bin/env bash
# bible.sh [-o FILE]
#
# Takes the text of the King James Bible out of Debian's package bible-kjv-text: a verse a line, without its number, 4.1 MB.
# `ds-train --data text:FILE` models it. Fetches the package where it is not there (setup.sh --texts). FILE appears whole or not at all; one that
# is there is left alone.
#
#   -o, --output FILE  where to (default: data/bible.txt)
#   -h, --help         show this
#
# Exit codes: 0 done, 2 usage, 3 the package is not what it should be, 4 it cannot be fetched.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

SHA256=b5c4940bcfeee072c0935b5200d0f9d88a00a0199cb0961d16133458fcdfae5d

# The file of the package: "EC02Compressed Data File", at byte 88 how many windows of 64 KiB there are, then where each begins, all big-endian. A
# window is what compress(1) writes without its three bytes of magic, which gzip reads.
windows() {
  local file=$1 count i offsets
  [ "$(head -c 24 "$file")" = "EC02Compressed Data File" ] || die 3 "$file: is not of the format that bible-kjv-text has"
  count=$(od -An -tu4 --endian=big -j88 -N4 "$file" | tr -d ' ')
  mapfile -t offsets < <(od -An -v -w4 -tu4 --endian=big -j92 -N"$((4 * count))" "$file" | tr -d ' ')
  offsets+=("$(stat -c %s "$file")")
  for ((i = 0; i < count; i++)); do
    { printf '\037\235\220' && tail -c "+$((offsets[i] + 1))" "$file" | head -c "$((offsets[i + 1] - offsets[i]))"; } | gzip -dc 2>/dev/null ||
      die 3 "$file: window $((i + 1)) of $count cannot be unpacked"
  done
}

output_option data/bible.txt "$@"
if [ -f "$output" ]; then
  say "$output is there"
  exit 0
fi
set_home
source=$DS_HOME/texts/bible/usr/lib/bible.data
[ -f "$source" ] || bash "$DS_ROOT/scripts/setup.sh" --no-packages --texts
mkdir -p "$(dirname "$output")"
new=$output.new.$$
trap 'rm -f "$new"' EXIT
# The first line names the edition; a verse begins with its place, as in "Ge1:1 In the beginning".
(set +o pipefail && windows "$source") | sed -n 's/^[0-9A-Za-z]*[0-9][0-9]*:[0-9][0-9]* //p' >"$new"
got=$(sha256sum "$new" | cut -d ' ' -f 1)
[ "$got" = "$SHA256" ] || die 3 "$source: SHA-256 of its text is $got, expected $SHA256"
mv "$new" "$output"
say "$output: $(wc -l <"$output") verses"
