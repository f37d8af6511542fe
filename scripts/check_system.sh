#!/bin/sh
# Checks for what `make setup` cannot install. The first line of output is the remedy.
# Usage: check_system.sh PYTHON
set -u
python=${1:-python3}

fail() {
    for line in "$@"; do printf '%s\n' "$line" >&2; done
    exit 1
}

need_package() {  # need_package PACKAGE REASON
    fail "sudo apt-get install $1" "($2; then run make again)"
}

command -v "$python" >/dev/null 2>&1 || need_package "python3 python3-venv python3-dev" \
    "the program '$python' was not found"

facts=$("$python" - <<'PYTHON'
import importlib.util, os, platform, sys, sysconfig
print(
    platform.python_implementation(),
    "%d.%d" % sys.version_info[:2],
    "new" if sys.version_info >= (3, 10) else "old",
    "late" if sys.version_info >= (3, 14) else "known",
    platform.system() + "-" + platform.machine(),
    "venv" if all(importlib.util.find_spec(n) for n in ("venv", "ensurepip")) else "bare",
    "headers" if os.path.exists(sysconfig.get_path("include") + "/Python.h") else "bare",
)
PYTHON
) || fail "The Python interpreter '$python' does not run; name another: make setup PYTHON=python3.12"
# shellcheck disable=SC2086
set -- $facts
implementation=$1 version=$2 new=$3 late=$4 machine=$5 venv=$6 headers=$7

[ "$new" = new ] || fail \
    "Python 3.10 or newer is needed, '$python' is $version: make setup PYTHON=python3.12" \
    "(Ubuntu 22.04 and Debian 12 have one: sudo apt-get install python3 python3-venv python3-dev)"
if [ "$implementation" != CPython ] || [ "$late" != known ] || [ "$machine" != Linux-x86_64 ]; then
    fail "The ROS 2 wheels exist for CPython 3.10 to 3.13 on x86-64 Linux, this is $implementation $version on $machine." \
        "With another Python on this machine: make setup PYTHON=python3.12" \
        "On other machines (a Jetson, say) build the package in a ROS 2 installation with colcon; see the README."
fi
[ "$venv" = venv ] || need_package python3-venv "Python's modules venv and ensurepip are missing"
command -v g++ >/dev/null 2>&1 || need_package g++ "the messages are compiled"
command -v cmake >/dev/null 2>&1 || need_package cmake "the messages are built with CMake"
command -v make >/dev/null 2>&1 || need_package make "the messages are built with make"
[ "$headers" = headers ] || need_package python3-dev "the header Python.h is missing"
