# stvg_ros in a ROS 2 image: the same steps as on a robot (scripts/install_on_robot.sh).
#
#   docker build -f docker/robot.Dockerfile -t stvg_ros_robot --build-arg TORCH_ARGS="-i ADDRESS" .
#   docker run --rm --network host --ipc host stvg_ros_robot image:=/camera/image_raw
#
# With an NVIDIA GPU: --build-arg TORCH=cuda, and --gpus all to run.
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base
ARG TORCH=cpu
ARG TORCH_ARGS=""
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv python3-numpy \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /ws
COPY . src/stvg_ros
RUN apt-get update && rosdep update --rosdistro "$ROS_DISTRO" \
    && sh src/stvg_ros/scripts/install_on_robot.sh \
       --torch "$TORCH" --torch-args "$TORCH_ARGS" --robot-only \
    && rm -rf /var/lib/apt/lists/*
# The entry point of the image sources ROS; this one sources the workspace, too.
COPY docker/entrypoint.sh /entrypoint.sh
ENTRYPOINT ["sh", "/entrypoint.sh"]
CMD []
