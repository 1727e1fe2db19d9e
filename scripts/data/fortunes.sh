#!/usr/bin/env bash
# fortunes.sh [-o DIR]
#
# Makes a data set of the texts of Debian's package fortunes: DIR/CATEGORY.txt, a text a line, for 12 categories that have a subject of their own
# and 147 to 550 texts each. `ds-train --data text:DIR` tells the category of a text. Fetches the package where it is not there (setup.sh --texts).
# DIR appears whole or not at all; one that is there is left alone.
#
#   -o, --output DIR   where to (default: data/fortunes)
#   -h, --help         show this
#
# Exit codes: 0 done, 2 usage, 3 the package is not what it should be, 4 it cannot be fetched.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=../lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/common.sh"

CATEGORIES=(art drugs education food kids law linux love perl sports startrek zippy)

# A text ends with a line of one percent sign. Its lines become one; tabs, backspaces (once for bold type) and runs of blanks go.
one_a_line() {
  awk '
    function put() { gsub(/.\010/, "", text); gsub(/[[:cntrl:][:space:]]+/, " ", text); sub(/^ /, "", text); sub(/ $/, "", text); if (text != "") print text; text = "" }
    $0 == "%" { put(); next }
    { text = text " " $0 }
    END { put() }' "$1"
}

output_option data/fortunes "$@"
if [ -d "$output" ]; then
  say "$output is there"
  exit 0
fi
set_home
source=$DS_HOME/texts/fortunes/usr/share/games/fortunes
[ -d "$source" ] || bash "$DS_ROOT/scripts/setup.sh" --no-packages --texts
new=$output.new.$$
trap 'rm -rf "$new"' EXIT
mkdir -p "$new"
for category in "${CATEGORIES[@]}"; do
  [ -f "$source/$category" ] || die 3 "$source: has no '$category'"
  one_a_line "$source/$category" >"$new/$category.txt"
done
mv -T "$new" "$output"
say "$output: $(cat "$output"/*.txt | wc -l) texts of ${#CATEGORIES[@]} categories"
