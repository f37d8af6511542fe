# SPDX-License-Identifier: Apache-2.0

"""Groundings and camera images for the viewer Rerun: a file, or a stream to a running viewer."""

from __future__ import annotations

import importlib.util
import re
import socket
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from stvg_ros.errors import ConfigError, RecordingError
from stvg_ros.extras import install_command
from stvg_ros.io.tube_json import table
from stvg_ros.types import Clip, Evidence, Frame, Grounding
from stvg_ros.visualization.drawing import CANDIDATE, PREDICTED

DEFAULT_PORT = 9876
_JPEG_QUALITY = 85
_FLUSH_S = 10.0
_CONTACT_S = 2.0
_ADDRESS = re.compile(r"(?:rerun\+http://)?([\w.-]+|\[[0-9a-fA-F:]+\])(?::(\d{1,5}))?(?:/proxy)?")
Scale = tuple[float, float]


def check_rerun(option: str) -> None:
    """Checks that the SDK is there.

    Args:
        option: whoever needs it, for the message.

    Raises:
        ConfigError: rerun-sdk is not installed.
    """
    if importlib.util.find_spec("rerun") is None:
        raise ConfigError(f"{option}: rerun-sdk is not installed; {install_command('rerun')}")


def viewer_address(text: str, option: str) -> tuple[str, int]:
    """Host and port of `HOST`, `HOST:PORT` or `rerun+http://HOST:PORT/proxy`.

    Raises:
        ConfigError: another text.
    """
    match = _ADDRESS.fullmatch(text)
    port = int(match[2] or DEFAULT_PORT) if match else 0
    if match is None or not 0 < port < 65536:
        raise ConfigError(
            f"{option}: expected the address of a viewer, such as 127.0.0.1:{DEFAULT_PORT}, got "
            f"{text[:256]!r}"
        )
    return match[1], port


def check_viewer(text: str, option: str) -> None:
    """Checks that a viewer listens.

    Raises:
        ConfigError: rerun-sdk is not installed, the text is no address, or nobody listens there.
    """
    check_rerun(option)
    host, port = viewer_address(text, option)
    try:
        socket.create_connection((host.strip("[]"), port), _CONTACT_S).close()
    except OSError as error:
        raise ConfigError(
            f"{option}: no viewer listens at {host}:{port} ({error}); start one with `rerun` or "
            f"`rerun --port {port}`"
        ) from error


class RerunRecording(AbstractContextManager["RerunRecording"]):
    """A recording with groundings, each below an entity of its own.

    An entity has `camera` (images), `camera/candidates` and `camera/answer` (boxes in pixels of the
    stored images), `S_frame` (scores of the sampled frames) and `answer` (text). The timeline
    `time` begins with the clip, or with the stream; `stamp` has the stamps of the images.

    Thread contract: any thread may call `add`, `add_image` and `add_answer`.
    """

    def __init__(self, name: str, *, file: Path | None = None, viewer: str = "") -> None:
        """Opens the file or the connection. Data for a viewer are sent in the background.

        Args:
            name: application id in the viewer.
            file: is replaced if it exists.
            viewer: address of a viewer, if there is no file; see `viewer_address`.

        Raises:
            ConfigError: rerun-sdk is not installed, or the text is no address.
        """
        option = "rerun.address" if file is None else "--rrd"
        check_rerun(option)
        import rerun

        self._rerun: Any = rerun
        self._stream = self._rerun.RecordingStream(name)
        self._where = viewer if file is None else str(file)
        if file is not None:
            self._stream.save(file)
        else:
            host, port = viewer_address(viewer, option)
            self._stream.connect_grpc(f"rerun+http://{host}:{port}/proxy")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """Writes or sends what is left, for some seconds at most, and ends.

        Raises:
            RecordingError: the viewer ended before, or the file cannot be written.
        """
        try:
            self._stream.flush(timeout_sec=_FLUSH_S)
        except RuntimeError as error:
            raise RecordingError(
                f"{self._where}: not everything arrived ({error}); restart the viewer, or check "
                "the disk"
            ) from error
        finally:
            self._stream.disconnect()

    def add(
        self, clip: Clip, grounding: Grounding, entity: str = "", *, every: bool = True
    ) -> None:
        """Adds a grounding with its images.

        Args:
            clip: the searched frames.
            grounding: the answer.
            entity: name of the entity above those of the grounding.
            every: whether all frames of the clip are written, not only the sampled ones.
        """
        evidence, origin_ns = grounding.evidence, clip.frames[0].stamp_ns
        sampled = set() if evidence is None else set(evidence.stamps_ns.tolist())
        for frame in clip.frames:
            if every or not sampled or frame.stamp_ns in sampled:
                self.add_image(frame, origin_ns, entity)
                self._log_boxes(grounding, frame.stamp_ns, frame_scale(frame), entity)
        self._log_curve(evidence, origin_ns, entity)
        self._log(entity, "answer", self._text(grounding, origin_ns), static=True)

    def add_image(self, frame: Frame, origin_ns: int, entity: str = "") -> None:
        """Adds a camera's image.

        Args:
            frame: the image.
            origin_ns: the stamp that is zero on the timeline `time`.
            entity: name of the camera.
        """
        self._set_time(frame.stamp_ns, origin_ns)
        options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        _, data = cv2.imencode(".jpg", np.asarray(frame.image)[..., ::-1], options)
        picture = self._rerun.EncodedImage(contents=data.tobytes(), media_type="image/jpeg")
        self._log(entity, "camera", picture)

    def add_answer(
        self, grounding: Grounding, scale: Scale, origin_ns: int, entity: str = ""
    ) -> None:
        """Adds an answer about images that were added before.

        Args:
            grounding: the answer.
            scale: width and height of a stored image over those of the camera's.
            origin_ns: the stamp that is zero on the timeline `time`.
            entity: name of the camera.
        """
        evidence, best = grounding.evidence, grounding.best
        stamps = {box.stamp_ns for tube in grounding.tubes for box in tube.boxes}
        stamps |= set() if evidence is None else set(evidence.stamps_ns.tolist())
        if stamps:
            # The one after the last has no boxes, which clears them.
            for stamp_ns in (*sorted(stamps), max(stamps) + 1):
                self._set_time(stamp_ns, origin_ns)
                self._log_boxes(grounding, stamp_ns, scale, entity)
        self._log_curve(evidence, origin_ns, entity)
        self._set_time(best.stamp_ns, origin_ns)
        self._log(entity, "answer", self._text(grounding, origin_ns))

    def _log_boxes(self, grounding: Grounding, stamp_ns: int, scale: Scale, entity: str) -> None:
        """The boxes of candidates and answer at a stamp; without any, the last ones are cleared."""
        evidence = grounding.evidence
        candidates = [] if evidence is None else list(_candidates(evidence, stamp_ns))
        answer = [
            (box.box_xyxy_px, f"{tube.confidence:.2f}")
            for tube in grounding.tubes
            for box in tube.boxes
            if box.stamp_ns == stamp_ns
        ]
        self._log(entity, "camera/candidates", self._boxes(candidates, scale, CANDIDATE))
        self._log(entity, "camera/answer", self._boxes(answer, scale, PREDICTED))

    def _log_curve(self, evidence: Evidence | None, origin_ns: int, entity: str) -> None:
        if evidence is None:
            return
        for stamp_ns, score in zip(evidence.stamps_ns.tolist(), evidence.frame_scores, strict=True):
            if np.isfinite(score):
                self._set_time(stamp_ns, origin_ns)
                self._log(entity, "S_frame", self._rerun.Scalars(float(score)))

    def _text(self, grounding: Grounding, origin_ns: int) -> Any:
        tables = [table(tube, origin_ns) for tube in grounding.tubes]
        return self._rerun.TextDocument("\n\n".join([*filter(None, [grounding.text]), *tables]))

    def _set_time(self, stamp_ns: int, origin_ns: int) -> None:
        self._stream.set_time("time", duration=np.timedelta64(stamp_ns - origin_ns, "ns"))
        self._stream.set_time("stamp", timestamp=np.datetime64(stamp_ns, "ns"))

    def _log(self, entity: str, name: str, what: Any, *, static: bool = False) -> None:
        path = [*([entity] if entity else []), *name.split("/")]
        self._stream.log(path, what, static=static)

    def _boxes(self, shown: Sequence[tuple[Any, str]], scale: Scale, colour: Any) -> Any:
        boxes = np.array([box for box, _ in shown], np.float64).reshape(-1, 4)
        return self._rerun.Boxes2D(
            array=boxes * np.array(scale * 2),
            array_format=self._rerun.Box2DFormat.XYXY,
            labels=[label for _, label in shown],
            colors=[colour] * len(shown),
        )


def frame_scale(frame: Frame) -> Scale:
    """Width and height of the stored image over those of the camera's."""
    height, width = frame.image.shape[:2]
    return width / frame.source_width_px, height / frame.source_height_px


def _candidates(evidence: Evidence, stamp_ns: int) -> Iterable[tuple[Any, str]]:
    """Boxes and labels of the candidates at a stamp; none if it was not sampled."""
    for row in np.flatnonzero(evidence.stamps_ns == stamp_ns):
        for track, boxes in evidence.track_boxes.items():
            if np.isfinite(boxes[row]).all():
                score = evidence.track_scores.get(track, float("nan"))
                yield boxes[row], f"{track}: {score:.2f}"
