# What the scripts share that build for another machine and run there under qemu. Sourced; needs `set -euo pipefail`.

readonly script=$(basename "$0")

skip() {
  echo "ci/$script: not built: $1" >&2
  exit 77
}
as_root() { if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi; }
installed() { dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null | grep -q '^install ok installed'; }

# install_for ARCHITECTURE PACKAGE...: of Debian's packages those that are missing.
install_for() {
  local architecture=$1 package missing=()
  shift
  for package in "$@"; do installed "$package" || missing+=("$package"); done
  ((${#missing[@]} == 0)) && return
  command -v apt-get >/dev/null || skip "there is no apt-get to install ${missing[*]} with"
  echo "ci/$script: installing packages: ${missing[*]}" >&2
  # Where ci/install took Highway from a later Debian, its build for that machine is taken from there too.
  as_root tee "/etc/apt/preferences.d/bitnet-parity-$architecture" >/dev/null <<PREFERENCES || skip "installing packages needs root"
# Written by bitnet-parity's ci/$script.
Package: libhwy-dev:$architecture libhwy1t64:$architecture
Pin: release n=trixie
Pin-Priority: 990
PREFERENCES
  as_root dpkg --add-architecture "$architecture"
  as_root apt-get -qq update >&2 || true
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends \
    "${missing[@]}" >/dev/null 2>&1 || skip "apt-get cannot install ${missing[*]}"
}

# prompt_of CAPTURE
prompt_of() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["request"]["prompt"])' "$1/capture.json"; }

# run_tests QEMU FOLDER TEST...: each in as many shards as there are cores, side by side.
run_tests() {
  local qemu=$1 folder=$2 shards name program shard
  shift 2
  shards=$(nproc)
  for name in "$@"; do
    program=$(find "$folder" -name "$name" -type f -executable)
    echo "ci/$script: $name" >&2
    for ((shard = 0; shard < shards; ++shard)); do echo "GTEST_SHARD_INDEX=$shard $qemu $program"; done
  done | GTEST_TOTAL_SHARDS=$shards xargs -P "$shards" -I{} bash -c 'env {} --gtest_brief=1'
}
