#!/bin/bash
# install.sh build|test|ci|arm64: Debian packages that are missing, by apt-get where this user may; else their names.
set -euo pipefail
cd "$(dirname "$0")"
lists=(debian-packages.txt)
if [ "$1" != build ]; then lists+=(debian-packages-test.txt); fi
if [ "$1" = ci ]; then lists+=(debian-packages-ci.txt); fi
if [ "$1" = arm64 ]; then lists+=(debian-packages-arm64.txt); fi
missing=()
if ! command -v dpkg-query > /dev/null; then
  echo "clipon: not a Debian system; the packages needed are, by Debian's names: $(cat "${lists[@]}" | tr '\n' ' ')" >&2
  exit 0  # CMake will say what it does not find
fi
while read -r package; do
  if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2> /dev/null)" != installed ]; then missing+=("$package"); fi
done < <(cat "${lists[@]}")
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
sudo=()
if [ "$(id -u)" != 0 ]; then
  if ! sudo -n true 2> /dev/null; then
    echo "clipon: please install: apt-get install ${missing[*]}" >&2
    exit 1
  fi
  sudo=(sudo -n)
fi
echo "Installing ${missing[*]}"
install() { "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" > /tmp/clipon-apt.log 2>&1; }
install || { "${sudo[@]}" apt-get update > /dev/null && install; } || { tail -20 /tmp/clipon-apt.log >&2; exit 1; }
