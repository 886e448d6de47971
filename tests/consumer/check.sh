#!/bin/bash
# check.sh BUILD WORK: installs BUILD under WORK, builds the consumer against it, and the plain compiler line; all three
# programs must give the sample picture its name.
set -euo pipefail
build=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
rm -rf "$2" && mkdir -p "$2"
work=$(realpath "$2")
cmake --install "$build" --prefix "$work/installed" > "$work/install.log"
cmake -S "$here" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/installed" > "$work/configure.log"
cmake --build "$work/build"
# part of another project it installs nothing, unless asked to
mkdir "$work/parent"
printf 'cmake_minimum_required(VERSION 3.22)\nproject(parent CXX)\nadd_subdirectory("%s" clipon)\n' "$(realpath "$here/../..")" > "$work/parent/CMakeLists.txt"
cmake -S "$work/parent" -B "$work/parent/build" -G Ninja > "$work/parent.log"
cmake --install "$work/parent/build" --prefix "$work/parent/installed" >> "$work/parent.log"
[[ ! -e "$work/parent/installed" ]]
# the line that the README gives for a program without a build system
(cd "$here/../.." && g++ -std=c++20 -O2 -march=native -fopenmp -I include -I /usr/include/eigen3 tests/consumer/main.cpp -o "$work/plain")
models="$work/installed/share/clipon/models"
for program in build/header_only build/dispatched plain; do
  first=$("$work/$program" "$models/clipon-demo.gguf" "$models/samples/pizza.png" guitar pizza house | head -1)
  echo "$program: $first"
  [[ "$first" == pizza\ * ]]
done
"$work/installed/bin/clipon" classify "$models/samples/pizza.png" --labels guitar,pizza,house
