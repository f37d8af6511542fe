#!/bin/sh
# The command line without ROS, tried from nothing: builds the source archive and from it the wheel,
# installs the wheel with the laboratory into a new virtual environment, and evaluates a rendered
# scene there.
# Usage: try_wheel.sh NEW_FOLDER [ARGUMENTS OF PIP FOR TORCH...]
set -eu
[ $# -gt 0 ] || { sed -n 's/^# Usage/usage/p' "$0" >&2; exit 2; }
folder=$1
shift
[ ! -e "$folder" ] || { printf '%s: exists; name a new folder\n' "$folder" >&2; exit 2; }
package=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

step() {
    printf '+ %s\n' "$*"
    "$@"
}

step "$python" -m venv "$folder/tools"
step "$folder/tools/bin/python" -m pip install --quiet build
# Only what git tracks: a clone.
step git clone --quiet "$package" "$folder/clone"
step "$folder/tools/bin/python" -m build --outdir "$folder/dist" "$folder/clone"
step tar tf "$folder"/dist/stvg_ros-*.tar.gz > "$folder/archive.txt"
wc -l < "$folder/archive.txt"

step "$python" -m venv "$folder/venv"
step "$folder/venv/bin/python" -m pip install --quiet --no-compile "$@" \
    --requirement "$package/requirements/torch.txt"
for wheel in "$folder"/dist/stvg_ros-*.whl; do
    step "$folder/venv/bin/python" -m pip install --quiet --no-compile "${wheel}[lab]"
done
cd "$folder"
step "$folder/venv/bin/python" -m pip check
step "$folder/venv/bin/python" -c "import importlib.util as u, stvg_ros
assert u.find_spec('rclpy') is None and '$folder/venv' in stvg_ros.__file__, stvg_ros.__file__"
step "$folder/venv/bin/stvg-ros" --version
step "$folder/venv/bin/stvg-ros" doctor --machine
step "$folder/venv/bin/stvg-ros" synthesize --out scenes --split test --seed 1000 --count 1
step "$folder/venv/bin/stvg-ros" evaluate --data hc-stvg-v2 --root scenes --out run
[ -f run/report.html ] || [ -f run/index.html ] || { ls run >&2; exit 1; }
