"""Messages to the package's types and back."""

from __future__ import annotations

import re
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Duration, Time
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from stvg_ros import msg
from stvg_ros.errors import ImageError
from stvg_ros.images import reduced
from stvg_ros.types import Evidence, Frame, Query, Tube

_CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
_TO_RGB = {
    "bgr8": cv2.COLOR_BGR2RGB,
    "rgba8": cv2.COLOR_RGBA2RGB,
    "bgra8": cv2.COLOR_BGRA2RGB,
    "mono8": cv2.COLOR_GRAY2RGB,
}
_PIXEL_BYTES = (
    (r"(rgb|bgr)16", 6),
    (r"(rgba|bgra)16", 8),
    (r"mono16|16[su]c1|bayer_.{4}16", 2),
    (r"bayer_.{4}8|8[su]c1", 1),
    (r"yuv422.*|uyvy|yuyv|8[su]c2|nv21|nv24", 2),
    (r"8[su]c3", 3),
    (r"8[su]c4", 4),
)


def stamp_ns(stamp: Any, what: str = "header.stamp") -> int:
    """Nanoseconds of a `builtin_interfaces/Time`.

    Raises:
        ImageError: seconds below zero, or a second or more of nanoseconds.
    """
    if stamp.sec < 0 or not 0 <= stamp.nanosec < 1_000_000_000:
        raise ImageError(
            f"{what}: expected sec >= 0 and nanosec below 1000000000, got sec={stamp.sec} "
            f"nanosec={stamp.nanosec}; the driver stamps its images wrongly"
        )
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def time_message(nanoseconds: int) -> Time:
    """A `builtin_interfaces/Time`."""
    return Time(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def duration_message(seconds: float) -> Duration:
    """A `builtin_interfaces/Duration`."""
    nanoseconds = round(seconds * 1e9)
    return Duration(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def image_frame(message: Image, long_side_px: int) -> Frame:
    """A camera image as the window keeps it; scaled down before its colours are converted.

    Raises:
        ImageError: size, step, data or encoding that do not fit together.
    """
    ns = stamp_ns(message.header.stamp)
    width, height, encoding = message.width, message.height, message.encoding
    if width < 1 or height < 1:
        raise ImageError(f"image size: expected 1 x 1 or more, got {width} x {height}")
    bytes_per_pixel = _bytes_per_pixel(encoding)
    if message.step < width * bytes_per_pixel:
        raise ImageError(
            f"image step: expected at least {width * bytes_per_pixel} bytes for {width} pixels of "
            f"{encoding}, got {message.step}"
        )
    if len(message.data) != message.step * height:
        raise ImageError(
            f"image data: expected step x height = {message.step * height} bytes, "
            f"got {len(message.data)}"
        )
    channels = _CHANNELS.get(encoding)
    if channels is None:
        rgb = reduced(_library_rgb(message), long_side_px)
    else:
        rows = np.frombuffer(message.data, np.uint8).reshape(height, message.step)
        image = rows[:, : width * channels].reshape(height, width, channels)
        small = reduced(image[..., 0] if channels == 1 else image, long_side_px)
        # The view on the message's bytes must not outlive the message.
        rgb = small.copy() if encoding == "rgb8" else cv2.cvtColor(small, _TO_RGB[encoding])
    return Frame(ns, rgb, width, height, message.header.frame_id)


def compressed_frame(message: CompressedImage, long_side_px: int) -> Frame:
    """The same for a JPEG or PNG image.

    Raises:
        ImageError: the bytes do not decode.
    """
    ns = stamp_ns(message.header.stamp)
    data = np.frombuffer(message.data, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise ImageError(
            f"compressed image: {data.size} bytes of format {message.format!r} do not decode; "
            "expected JPEG or PNG"
        )
    height, width = image.shape[:2]
    small = reduced(np.asarray(image, np.uint8), long_side_px)
    rgb = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB), np.uint8)
    return Frame(ns, rgb, width, height, message.header.frame_id)


def _bytes_per_pixel(encoding: str) -> int:
    if encoding in _CHANNELS:
        return _CHANNELS[encoding]
    for pattern, count in _PIXEL_BYTES:
        if re.fullmatch(pattern, encoding.lower()):
            return count
    raise ImageError(
        f"image encoding: {encoding!r} is not known; expected rgb8, bgr8, rgba8, bgra8, mono8, "
        "mono16, a yuv422 or a bayer encoding of sensor_msgs/image_encodings"
    )


def _library_rgb(message: Image) -> NDArray[np.uint8]:
    """The rarer encodings through cv_bridge, or rosbags-image where that is not installed."""
    try:
        if message.encoding == "mono16":
            depth = np.frombuffer(message.data, ">u2" if message.is_bigendian else "<u2")
            grey = depth.reshape(message.height, message.step // 2)[:, : message.width] >> 8
            return np.asarray(cv2.cvtColor(grey.astype(np.uint8), cv2.COLOR_GRAY2RGB), np.uint8)
        try:
            from cv_bridge import CvBridge
        except ImportError:
            from rosbags.image import message_to_cvimage

            return np.asarray(message_to_cvimage(message, "rgb8"), np.uint8)
        return np.asarray(CvBridge().imgmsg_to_cv2(message, "rgb8"), np.uint8)
    except Exception as error:
        raise ImageError(
            f"image encoding: {message.encoding!r} cannot be converted to rgb8 "
            f"({type(error).__name__}: {error})"
        ) from error


def image_message(image: NDArray[np.uint8], ns: int, frame_id: str) -> Image:
    """An rgb8 message of an `(h, w, 3)` RGB image."""
    result = Image(
        header=Header(stamp=time_message(ns), frame_id=frame_id),
        height=image.shape[0],
        width=image.shape[1],
        encoding="rgb8",
        step=3 * image.shape[1],
    )
    result.data.frombytes(np.ascontiguousarray(image).tobytes())  # faster than assignment
    return result


def query_of(message: Any, query_id: str) -> Query:
    """A query from a `stvg_ros/Query` message or a goal of `stvg_ros/Ground`.

    Raises:
        CommandError: empty or too long text, or an impossible window or deadline.
    """
    deadline_s = message.deadline.sec + message.deadline.nanosec * 1e-9
    return Query(
        text=message.text,
        id=query_id,
        start_ns=stamp_ns(message.window_start, "window_start") or None,
        end_ns=stamp_ns(message.window_end, "window_end") or None,
        deadline_s=deadline_s or None,
        max_targets=message.max_targets or 1,
    )


def tube_message(tube: Tube) -> msg.Tube:
    """A tube as `stvg_ros/Tube`."""
    split = tube.split
    result = msg.Tube(
        header=Header(stamp=time_message(tube.stamp_ns), frame_id=tube.frame_id),
        query_id=tube.query.id,
        query=tube.query.text,
        attribute=split.attribute if split else "",
        action=split.action if split else "",
        split_method=split.method if split else "",
        split_fallbacks=list(split.fallbacks) if split else [],
        status=int(tube.status),
        error_code=int(tube.error_code),
        error=tube.error,
        confidence=float(tube.confidence),
        rank=tube.rank,
        track_id=tube.track_id,
        consistency=float(tube.consistency),
        dropped_steps=tube.dropped_steps,
        start=time_message(tube.start_ns),
        end=time_message(tube.end_ns),
        image_width=tube.width_px,
        image_height=tube.height_px,
        model=tube.model,
    )
    for box in tube.boxes:
        x_min, y_min, x_max, y_max = box.box_xyxy_px
        result.boxes.append(
            msg.TubeBox(
                stamp=time_message(box.stamp_ns),
                x_min=x_min,
                y_min=y_min,
                x_max=x_max,
                y_max=y_max,
                score=box.score,
                interpolated=box.interpolated,
            )
        )
    for stage, seconds in tube.timings_s.items():
        result.timings.append(msg.StageTiming(stage=stage, duration_s=float(seconds)))
    return result


def evidence_message(evidence: Evidence, tube: Tube) -> msg.Evidence:
    """The evidence behind a tube as `stvg_ros/Evidence`."""
    slots, rows, columns = evidence.spatial.shape
    slot_of_frame = [0] * len(evidence.stamps_ns)
    for slot, frames in enumerate(evidence.slots):
        for frame in frames:
            slot_of_frame[frame] = slot
    return msg.Evidence(
        header=Header(stamp=time_message(tube.stamp_ns), frame_id=tube.frame_id),
        query_id=tube.query.id,
        stamps=[time_message(int(ns)) for ns in evidence.stamps_ns],
        slot_of_frame=slot_of_frame,
        slots=slots,
        rows=rows,
        columns=columns,
        spatial=evidence.spatial.astype(np.float32).ravel().tolist(),
        temporal=evidence.temporal.astype(np.float32).ravel().tolist(),
        frame_scores=evidence.frame_scores.astype(np.float32).tolist(),
        track_ids=list(evidence.track_scores),
        track_scores=[float(score) for score in evidence.track_scores.values()],
        grounding_token=evidence.grounding_token,
    )
