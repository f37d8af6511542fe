# SPDX-License-Identifier: Apache-2.0

"""Writes groundings as a recording of the viewer Rerun (`--rrd FILE`)."""

from __future__ import annotations

import importlib.util
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from stvg_ros.errors import ConfigError
from stvg_ros.io.tube_json import table
from stvg_ros.types import Clip, Evidence, Frame, Grounding, Tube
from stvg_ros.visualization.drawing import CANDIDATE, PREDICTED

_JPEG_QUALITY = 85


def check_rerun() -> None:
    """Raises: ConfigError: rerun-sdk is not installed."""
    if importlib.util.find_spec("rerun") is None:
        raise ConfigError("--rrd: rerun-sdk is not installed; pip install 'stvg_ros[rerun]'")


class RerunFile(AbstractContextManager["RerunFile"]):
    """A `.rrd` file with groundings, each below an entity of its own.

    An entity has `camera` (images), `camera/candidates` and `camera/answer` (boxes in pixels of the
    stored images), `S_frame` (scores of the sampled frames) and `answer` (text). The timeline
    `time` begins with the clip; `stamp` has the stamps of the images.
    """

    def __init__(self, path: Path, name: str) -> None:
        """Opens the file.

        Args:
            path: is replaced if it exists.
            name: application id in the viewer.

        Raises:
            ConfigError: rerun-sdk is not installed.
        """
        check_rerun()
        import rerun

        self._rerun: Any = rerun
        self._stream = self._rerun.RecordingStream(name)
        self._stream.save(path)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._stream.flush()
        self._stream.disconnect()

    def add(
        self, clip: Clip, grounding: Grounding, entity: str = "", *, every: bool = True
    ) -> None:
        """Adds a grounding.

        Args:
            clip: the searched frames.
            grounding: the answer.
            entity: name of the entity above those of the grounding.
            every: whether all frames of the clip are written, not only the sampled ones.
        """
        evidence = grounding.evidence
        sampled = set() if evidence is None else set(evidence.stamps_ns.tolist())
        origin_ns = clip.frames[0].stamp_ns
        boxes = [{box.stamp_ns: box for box in tube.boxes} for tube in grounding.tubes]
        for frame in clip.frames:
            if not every and sampled and frame.stamp_ns not in sampled:
                continue
            self._set_time(frame.stamp_ns, origin_ns)
            self._log(entity, "camera", self._picture(frame))
            self._log(entity, "camera/candidates", self._candidates(frame, evidence))
            found = [
                (tube, by_stamp[frame.stamp_ns].box_xyxy_px)
                for tube, by_stamp in zip(grounding.tubes, boxes, strict=True)
                if frame.stamp_ns in by_stamp
            ]
            self._log(entity, "camera/answer", self._answer(frame, found))
        if evidence is not None:
            stamps_ns = evidence.stamps_ns.tolist()
            for stamp_ns, score in zip(stamps_ns, evidence.frame_scores, strict=True):
                if np.isfinite(score):
                    self._set_time(stamp_ns, origin_ns)
                    self._log(entity, "S_frame", self._rerun.Scalars(float(score)))
        text = "\n\n".join(table(tube, origin_ns) for tube in grounding.tubes)
        document = self._rerun.TextDocument(text)
        self._stream.log(_path(entity, "answer"), document, static=True)

    def _set_time(self, stamp_ns: int, origin_ns: int) -> None:
        self._stream.set_time("time", duration=np.timedelta64(stamp_ns - origin_ns, "ns"))
        self._stream.set_time("stamp", timestamp=np.datetime64(stamp_ns, "ns"))

    def _log(self, entity: str, name: str, what: Any) -> None:
        self._stream.log(_path(entity, name), what)

    def _picture(self, frame: Frame) -> Any:
        options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        _, data = cv2.imencode(".jpg", np.asarray(frame.image)[..., ::-1], options)
        return self._rerun.EncodedImage(contents=data.tobytes(), media_type="image/jpeg")

    def _candidates(self, frame: Frame, evidence: Evidence | None) -> Any:
        """The candidate boxes of a sampled frame; of another one, none."""
        shown = []
        if evidence is not None:
            shown = [
                (boxes[row], f"{track}: {evidence.track_scores.get(track, float('nan')):.2f}")
                for row in np.flatnonzero(evidence.stamps_ns == frame.stamp_ns)
                for track, boxes in evidence.track_boxes.items()
                if np.isfinite(boxes[row]).all()
            ]
        return self._boxes(frame, [box for box, _ in shown], [text for _, text in shown], CANDIDATE)

    def _answer(self, frame: Frame, found: list[tuple[Tube, Any]]) -> Any:
        labels = [f"{tube.confidence:.2f}" for tube, _ in found]
        return self._boxes(frame, [box for _, box in found], labels, PREDICTED)

    def _boxes(self, frame: Frame, boxes: list[Any], labels: list[str], colour: Any) -> Any:
        """Boxes of the original image, in pixels of the stored one; empty ones clear the last."""
        height, width = frame.image.shape[:2]
        scale = np.array([width / frame.source_width_px, height / frame.source_height_px] * 2)
        scaled = np.array(boxes, np.float64).reshape(-1, 4) * scale
        return self._rerun.Boxes2D(
            array=scaled,
            array_format=self._rerun.Box2DFormat.XYXY,
            labels=labels,
            colors=[colour] * len(boxes),
        )


def _path(entity: str, name: str) -> list[object]:
    return [*([entity] if entity else []), *name.split("/")]
