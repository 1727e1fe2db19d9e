#!/usr/bin/env bash
# test.sh [CTEST-OPTIONS]
#
# Sets up, builds and runs every test. Options go to ctest: `test.sh -R unit_graph`, `test.sh -L unit`, `test.sh -N`.
#
#   -h, --help     show this (`ctest --help` lists its options)
#
# Environment: DS_TEST_JOBS, tests at once (default 2); and that of setup.sh and build.sh.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

case ${1:-} in
  -h | --help) help && exit 0 ;;
esac
bash "$DS_ROOT/scripts/setup.sh"
bash "$DS_ROOT/scripts/build.sh"
exec ctest --test-dir "${DS_BUILD_DIR:-$DS_ROOT/build}" --output-on-failure --no-tests=error --parallel "${DS_TEST_JOBS:-2}" "$@" </dev/null
