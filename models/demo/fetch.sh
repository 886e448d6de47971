#!/bin/bash
# fetch.sh DATA: the packages that prepare.py reads, from npm, Debian and PyPI, unpacked under DATA.
set -euo pipefail
mkdir -p "$1/npm" "$1/deb" && cd "$1"
npm_packages=(
  emoji-datasource-google@16.0.0 emoji-datasource-twitter@16.0.0 emojilib@4.0.3 openmoji@17.0.0
  @lobehub/fluent-emoji-3d@1.1.0 @lobehub/fluent-emoji-flat@1.1.0 @lobehub/fluent-emoji-modern@1.0.0
  emojione@2.2.7 @fontsource/noto-emoji@5.3.2
)
for package in "${npm_packages[@]}"; do
  archive=$(npm pack --silent "$package" | tail -1)
  folder="npm/$(basename "$archive" .tgz)"
  mkdir -p "$folder" && tar xzf "$archive" -C "$folder" && rm "$archive"
done
for package in openclipart-png openclipart-svg fonts-symbola; do
  apt-get download "$package"
  dpkg -x "$package"_*.deb deb && rm "$package"_*.deb
done
pip download --quiet --no-deps -d . open_clip_torch==3.3.0 # holds bpe_simple_vocab_16e6
