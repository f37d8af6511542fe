# SPDX-License-Identifier: Apache-2.0

"""The true joints of rendered people in place of an estimator of keypoints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stvg_lab.rendered.hard.hard_scene import HardScene
from stvg_lab.rendered.scene import Scene
from stvg_ros.body.keypoints import Keypoints
from stvg_ros.boxes import Boxes

_TORSO = 0.315  # of a rendered person's height


class TrueJoints:
    """Gives each box the joints of the person whose true box is nearest; see `KeypointEstimator`.

    It knows the images of one scene by their identity.
    """

    name = "true joints"

    def __init__(
        self,
        scene: Scene | HardScene,
        images: Sequence[NDArray[np.uint8]],
        frames: Sequence[int],
        noise: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Prepares the images that will be asked about.

        Args:
            scene: the world.
            images: rendered frames of it, of any size.
            frames: their numbers.
            noise: standard deviation of each joint, in torsos.
            seed: of the noise.
        """
        self._scene, self._images = scene, tuple(images)
        self._frames = {id(image): frame for image, frame in zip(images, frames, strict=True)}
        self._noise, self._rng = noise, np.random.default_rng(seed)
        self.boxes = 0  # that were asked about

    def __call__(self, image: NDArray[np.uint8], boxes_xyxy_px: Boxes) -> Keypoints:
        """See `KeypointEstimator`."""
        scene, frame = self._scene, self._frames[id(image)]
        factor = image.shape[1] / scene.width
        people = scene.boxes_xyxy_px[: len(scene.people), frame] * factor
        points, visibility = [], []
        for box in boxes_xyxy_px:
            apart = np.abs(people - box).sum(axis=1)
            person = int(apart.argmin())
            found, seen = scene.joints_px(person, frame)
            tall = scene.people[person].height_px
            wrong = self._rng.normal(0, self._noise * _TORSO * tall, found.shape)
            points.append((found + wrong) * factor)
            visibility.append(seen)
        self.boxes += len(boxes_xyxy_px)
        return Keypoints(
            np.array(points, np.float32).reshape(-1, 17, 2),
            np.array(visibility, np.float32).reshape(-1, 17),
        )
