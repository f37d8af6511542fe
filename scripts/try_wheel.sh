#!/bin/sh
# Tries the command line without ROS from nothing: builds the source archive and from it the wheel,
# installs the wheel with the laboratory into a new virtual environment, and runs its commands there.
# Usage: try_wheel.sh NEW_FOLDER [ARGUMENTS OF PIP FOR TORCH...]      (minutes)
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

# Only what git tracks: a clone.
step git clone --quiet "$package" "$folder/clone"
step "$python" -m venv "$folder/tools"
step "$folder/tools/bin/python" -m pip install --quiet build
step "$folder/tools/bin/python" -m build --outdir "$folder/dist" "$folder/clone" > "$folder/build.log"
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

PATH=$folder/venv/bin:$PATH
export PATH
step stvg-ros --version
step stvg-ros doctor --machine
step stvg-ros models list
step stvg-ros understand "find the person in red who jumps"
step stvg-ros synthesize --out scenes --split val --count 1
video=$(find scenes -name '*.mp4' | head -n 1)
step stvg-ros ground "$video" "the person who waves" --out ground --sheet --set proposals.source=classical
step stvg-ros tubes "$video" --out tubes.png --set proposals.source=classical
step stvg-ros evaluate --data hcstvg-v2 --root scenes --out run
step stvg-ros compare run run
step stvg-ros report run
step stvg-ros ablate --split test --seed 1000 --count 1
step stvg-ros tutorial --out tutorial < /dev/null
for command in demo mcp; do  # these need ROS, and say so
    printf '+ stvg-ros %s\n' "$command"
    code=0
    stvg-ros "$command" 2> said.txt || code=$?
    cat said.txt
    [ "$code" = 2 ] && [ "$(wc -l < said.txt)" = 1 ]
done
echo "built, installed, used"
