#!/bin/sh
# scripts/install_on_robot.sh on a machine without ROS packages: the environment of `make setup`
# stands for the ROS installation. colcon, pip, CMake and the build are the real ones; rosdep, which
# would install packages of the system, only prints its arguments.
# Usage: try_robot_recipe.sh NEW_FOLDER       (after `make setup`; a minute)
set -eu
[ $# = 1 ] || { sed -n 's/^# Usage/usage/p' "$0" >&2; exit 2; }
folder=$1
[ ! -e "$folder" ] || { printf '%s: exists; name a new folder\n' "$folder" >&2; exit 2; }
package=$(cd "$(dirname "$0")/.." && pwd)
wheels=$package/.venv-jazzy
[ -x "$wheels/bin/python" ] || { printf '%s: expected an environment; run make setup\n' "$wheels" >&2; exit 2; }
mkdir -p "$folder/bin" "$folder/ros/jazzy" "$folder/ws/src"
folder=$(cd "$folder" && pwd)
site=$("$wheels/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
libraries=$(printf '%s:' "$site"/ros_*.libs)

# A ROS installation is a prefix and a script. This package, which is in the environment, too, would
# be found before the one that is built: it is left out of the prefix by an overlay of links.
mkdir -p "$folder/ros/jazzy/site"
for entry in "$site"/*; do
    case ${entry##*/} in
        stvg_*|pip|pip-*|setuptools|setuptools-*) ;;
        *) ln -s "$entry" "$folder/ros/jazzy/site/" ;;
    esac
done
cat > "$folder/ros/jazzy/setup.sh" <<SETUP
export ROS_DISTRO=jazzy ROS_VERSION=2 AMENT_PREFIX_PATH=$wheels CMAKE_PREFIX_PATH=$wheels
export PYTHONPATH=$folder/ros/jazzy/site LD_LIBRARY_PATH=$wheels/lib:$libraries
SETUP
python3 -m venv "$folder/tools"
"$folder/tools/bin/python" -m pip install --quiet colcon-common-extensions
ln -s "$folder/tools/bin/colcon" "$folder/bin/colcon"
printf '#!/bin/sh\necho "rosdep is not run here: $*"\n' > "$folder/bin/rosdep"
chmod +x "$folder/bin/rosdep"

git clone --quiet "$package" "$folder/ws/src/stvg_ros"
script=$folder/ws/src/stvg_ros/scripts/install_on_robot.sh
PATH=$folder/bin:$PATH sh "$script" --ros "$folder/ros/jazzy" --torch installed --robot-only
# What it made works: the node's program finds its messages and prints its interface's names.
(set +u; . "$folder/ros/jazzy/setup.sh"; . "$folder/ws/install/setup.sh"
 "$folder/ws/stvg_ros_venv/bin/python" -c "import stvg_ros.msg, stvg_ros.node.main as m
assert '$folder/ws/install' in m.__file__, m.__file__")
sh "$script" --undo
[ ! -e "$folder/ws/stvg_ros_venv" ] && [ ! -e "$folder/ws/install/stvg_ros" ]
echo "installed, used, undone"
