#!/bin/sh
# Installs stvg_ros in a workspace of a ROS 2 that was installed from packages (Jazzy, Lyrical).
#
# The libraries come with pip into a virtual environment beside `src`, not from rosdep: Ubuntu 24.04
# has no package of torch, and its Python refuses pip outside an environment (PEP 668). The
# environment sees the packages of the system, so ROS and its NumPy are used as they are.
set -u

usage() {
    cat <<'USAGE'
Usage: install_on_robot.sh [OPTIONS]      in a clone at WORKSPACE/src/stvg_ros

  --torch cpu|cuda|jetson|installed  default: what this machine has
  --torch-args 'ARGUMENTS'  for pip, such as '-i ADDRESS' of PyTorch's CPU index, or of NVIDIA's for
                            the JetPack of this Jetson
  --ros FOLDER              default: /opt/ros/$ROS_DISTRO, or the newest one there
  --robot-only              without stvg_lab: evaluation, demo, training
  --dry-run                 prints the commands
  --undo                    removes what an earlier run has made; packages of the system stay
USAGE
}

fail() {
    for line in "$@"; do printf '%s\n' "$line" >&2; done
    exit 1
}

step() {  # step COMMAND...: prints and runs it
    printf '+ %s\n' "$*"
    [ "$dry" = yes ] || "$@" || fail "failed: $*"
}

torch='' torch_args='' ros='' lab=ON dry=no undo=no
while [ $# -gt 0 ]; do
    case $1 in
        --torch) torch=${2:-}; shift ;;
        --torch-args) torch_args=${2:-}; shift ;;
        --ros) ros=${2:-}; shift ;;
        --robot-only) lab=OFF ;;
        --dry-run) dry=yes ;;
        --undo) undo=yes ;;
        -h|--help) usage; exit 0 ;;
        *) usage >&2; fail "unknown option: $1" ;;
    esac
    [ $# -gt 0 ] && shift
done

package=$(cd "$(dirname "$0")/.." && pwd)
source_folder=$(dirname "$package")
workspace=$(dirname "$source_folder")
[ "$(basename "$source_folder")" = src ] || fail \
    "$package: expected a clone in the src folder of a workspace, such as ~/ws/src/stvg_ros"
venv=$workspace/stvg_ros_venv
mark=$venv/made_by_stvg_ros

if [ "$undo" = yes ]; then
    [ -e "$mark" ] || fail "$venv: not made by this script, or removed already; nothing is removed"
    step rm -rf "$workspace/build/stvg_ros" "$workspace/install/stvg_ros"
    step rm -rf "$venv"
    echo "Removed. Packages of the system that rosdep installed stay."
    exit 0
fi

# --- what this machine has -----------------------------------------------------------------------

roots=${STVG_ROS_ROOTS:-/opt/ros}
if [ -z "$ros" ]; then
    for name in ${ROS_DISTRO:-} lyrical kilted jazzy humble; do
        [ -e "$roots/$name/setup.sh" ] && { ros=$roots/$name; break; }
    done
fi
[ -n "$ros" ] && [ -e "$ros/setup.sh" ] || fail \
    "no ROS 2 below $roots: install ros-jazzy-ros-base (Ubuntu 24.04) or ros-lyrical-ros-base (26.04)," \
    "or name its folder with --ros. Without ROS packages, see 'make setup' in the README."
distro=$(basename "$ros")
for program in python3 rosdep colcon; do
    command -v "$program" >/dev/null 2>&1 || fail \
        "$program was not found: sudo apt-get install python3-venv python3-rosdep python3-colcon-common-extensions"
done
case $distro in
    jazzy|lyrical) ;;
    *) echo "note: $distro is not among the distributions of this recipe (docs/compatibility.md)" ;;
esac
# A mark of an earlier run allows to repeat the steps; a folder of somebody else stays.
if [ -e "$venv" ] && [ ! -e "$mark" ]; then
    fail "$venv: exists and was not made by this script; move it away"
fi

board=${STVG_ROS_BOARD:-/etc/nv_tegra_release}
found=cpu
command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi >/dev/null 2>&1 && found=cuda
[ -e "$board" ] && found=jetson
[ -n "$torch" ] || torch=$found
case $torch in
    cpu)
        if [ -z "$torch_args" ] && [ "$(uname -m)" = x86_64 ]; then
            fail "torch for a CPU: pip's default for x86-64 has gigabytes of CUDA libraries. Give" \
                "--torch-args '-i ADDRESS' with PyTorch's CPU index (its address is on PyTorch's" \
                "installation page), or --torch cuda for the default"
        fi ;;
    cuda) ;;
    jetson)
        [ -n "$torch_args" ] || fail \
            "torch for a Jetson: NVIDIA builds it for each JetPack, pip's default has no GPU support here." \
            "This board has: $(head -n 1 "$board" 2>/dev/null || echo unknown)" \
            "Give --torch-args '-i ADDRESS' (NVIDIA's page 'PyTorch for Jetson'), or --torch installed" ;;
    installed) ;;
    *) fail "--torch: expected cpu, cuda, jetson or installed, got '$torch'" ;;
esac
echo "ROS: $distro in $ros; torch: $torch; workspace: $workspace"

# --- the steps -----------------------------------------------------------------------------------

cd "$workspace" || exit 1
# shellcheck disable=SC1091
[ "$dry" = yes ] || { set +u; . "$ros/setup.sh"; set -u; }
step rosdep install --from-paths "$package" --ignore-src --rosdistro "$distro" -y
step python3 -m venv --system-site-packages "$venv"
[ "$dry" = yes ] || touch "$mark" "$venv/COLCON_IGNORE"
python=$venv/bin/python
# ROS's cv_bridge and rclpy were compiled for the NumPy of the system, which has to stay.
[ "$dry" = yes ] || "$python" -c "import numpy; print('numpy==' + numpy.__version__)" \
    > "$venv/numpy.txt" || fail "the system has no NumPy: sudo apt-get install python3-numpy"
if [ "$torch" != installed ]; then
    # shellcheck disable=SC2086
    step "$python" -m pip install --constraint "$venv/numpy.txt" $torch_args "torch>=2.6"
fi
step "$python" -m pip install --constraint "$venv/numpy.txt" \
    --requirement "$package/requirements/robot.txt"
case $torch in
    cuda|jetson)
        step "$python" -c "import sys, torch; sys.exit(0 if torch.cuda.is_available() else
'this torch finds no GPU: another --torch-args, or --torch cpu')" ;;
    *) step "$python" -c "import torch" ;;
esac
# colcon and the executables use the environment's interpreter.
step env "PATH=$venv/bin:$PATH" "VIRTUAL_ENV=$venv" colcon build --packages-select stvg_ros --cmake-args \
    "-DPython3_EXECUTABLE=$python" "-DSTVG_LAB=$lab" -DBUILD_TESTING=OFF
# The modules are found where the workspace is sourced.
step sh -c ". '$workspace/install/setup.sh' && stvg-ros doctor --machine"
echo "Done. In each shell: . $ros/setup.sh && . $workspace/install/setup.sh"
