# Copyright 2026 the stvg_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
# in compliance with the License. You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License
# is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
# or implied. See the License for the specific language governing permissions and limitations under
# the License.

"""`pip install .`: the library and the `stvg-ros` command, without ROS.

The ROS package with its messages and node is built by CMakeLists.txt (colcon, or `make setup`).
"""

from setuptools import find_packages, setup

setup(
    name="stvg_ros",
    version="0.1.0",
    description="Zero-shot spatio-temporal video grounding with multimodal language models",
    license="Apache-2.0",
    author="stvg_ros developers",
    author_email="stvg_ros@example.com",
    python_requires=">=3.10",
    packages=find_packages(include=["stvg_ros", "stvg_ros.*"]),
    package_data={
        "stvg_ros": [
            "**/*.safetensors",
            "**/*.json",
            "**/*.txt",
            "**/*.yaml",
            "**/*.html",
            "**/*.css",
            "**/*.js",
        ]
    },
    install_requires=[
        "av>=14",
        "msgpack>=1.0",
        "numpy>=1.26",
        "opencv-python-headless>=4.8,<5",
        "pillow>=10",
        "rosbags>=0.10",
        "rosbags-image>=0.10",
        "safetensors>=0.4",
        "scipy>=1.11",
        "torch>=2.6",
        "tqdm>=4.60",
        "transformers>=5.0,<6",
    ],
    extras_require={"serving": ["ray[serve]>=2.60"]},
    entry_points={"console_scripts": ["stvg-ros = stvg_ros.cli.main:main"]},
)
