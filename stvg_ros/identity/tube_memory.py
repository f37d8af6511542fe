# SPDX-License-Identifier: Apache-2.0

"""Memory beyond the window: tubes, appearances and sparse pictures, bounded by bytes and age.

Everything is in the memory of the process; nothing is written to a disk.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from stvg_ros.boxes import paired_iou
from stvg_ros.frames import CandidateTube, Clip, Frame
from stvg_ros.identity.remembered_tube import RememberedTube
from stvg_ros.identity.settings import MemoryConfig
from stvg_ros.identity.tube_describer import TubeDescriber
from stvg_ros.images import jpeg_bytes, jpeg_image
from stvg_ros.types import TubeBox

_SAME_TUBE = 0.5  # mean IoU, at common stamps, of a tube and what was remembered of it
_JPEG_QUALITY = 80


@dataclass(frozen=True)
class RememberedFrame:
    """One image as JPEG.

    Attributes:
        frame_id: the header's coordinate frame.
        size_px: width and height of the camera's own image.
        jpeg: the file.
        kept_s: monotonic seconds at which it was stored.
    """

    frame_id: str
    size_px: tuple[int, int]
    jpeg: bytes
    kept_s: float


@dataclass(eq=False)
class _CameraMemory:
    frames: OrderedDict[int, RememberedFrame] = field(default_factory=OrderedDict)
    tubes: list[RememberedTube] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        frames = sum(len(frame.jpeg) for frame in self.frames.values())
        return frames + sum(tube.nbytes for tube in self.tubes)


class TubeMemory:
    """The tubes of all cameras, computed from overlapping windows.

    Tubes of consecutive windows are one if their boxes overlap at common stamps. Images are kept
    at `memory.rate_hz`. What is older than `memory.duration_s` is dropped, by the stamps of the
    camera or by the time since it was stored; beyond `memory.max_bytes` the oldest images and
    tubes are dropped first.

    Thread contract: any thread may call any method; one lock guards all state.
    """

    def __init__(
        self,
        describer: TubeDescriber,
        config: Callable[[], MemoryConfig],
        place: Callable[[TubeBox, Frame], TubeBox] = lambda box, frame: box,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts empty.

        Args:
            describer: describes the tubes.
            config: returns the current bounds.
            place: adds the position to a frame's box.
            clock: monotonic seconds.
        """
        self._describer = describer
        self._config = config
        self._place = place
        self._clock = clock
        self._lock = threading.Lock()
        self._cameras: dict[str, _CameraMemory] = {}
        self._next = 0

    @property
    def enabled(self) -> bool:
        """Whether anything is remembered."""
        return self._config().duration_s > 0

    @property
    def fill(self) -> tuple[int, int, int]:
        """Number of tubes and of images, and the bytes of both."""
        with self._lock:
            views = list(self._cameras.values())
            tubes, frames = sum(len(v.tubes) for v in views), sum(len(v.frames) for v in views)
            return tubes, frames, sum(view.nbytes for view in views)

    def add(self, camera: str, clip: Clip, candidates: Sequence[CandidateTube]) -> None:
        """Remembers the candidate tubes of a camera's window.

        Args:
            camera: name of the camera.
            clip: the window, which overlaps the one before.
            candidates: tubes over the frames of the clip.
        """
        if not self.enabled:
            self.clear()
            return
        with self._lock:
            view = self._cameras.setdefault(camera, _CameraMemory())
            if view.frames and clip.frames[-1].stamp_ns < next(reversed(view.frames)):
                view = self._cameras[camera] = _CameraMemory()  # the stamps jumped back
            self._keep_frames(view, clip)
            rows = [i for i, frame in enumerate(clip.frames) if frame.stamp_ns in view.frames]
            known = self._linked(view, clip, candidates, rows)
            joined = []
            for candidate, tube in zip(candidates, known, strict=True):
                if tube is None and candidate.present[rows].any():
                    tube = RememberedTube(self._next, camera, self._describer.empty())
                    self._next += 1
                    view.tubes.append(tube)
                if tube is not None:
                    joined.append((candidate, tube))
                    self._extend(tube, clip, candidate, rows)
            self._describe(clip, joined)
            self._trim()

    def expire(self) -> None:
        """Drops what is too old, also while no images arrive."""
        with self._lock:
            self._trim()

    def clear(self, camera: str | None = None) -> None:
        """Drops everything, or what one camera saw."""
        with self._lock:
            for name in list(self._cameras) if camera is None else [camera]:
                self._cameras.pop(name, None)

    def tube(self, number: int) -> RememberedTube | None:
        """The tube with this number, if it is still remembered."""
        with self._lock:
            every = (tube for view in self._cameras.values() for tube in view.tubes)
            return next((tube for tube in every if tube.number == number), None)

    def like(self, camera: str, boxes: Sequence[TubeBox]) -> RememberedTube | None:
        """The remembered tube with most of these boxes; None if there is none."""
        places = {box.stamp_ns: box.box_xyxy_px for box in boxes}
        with self._lock:
            view = self._cameras.get(camera) or _CameraMemory()
            rated = []
            for tube in view.tubes:
                common = [ns for ns in places if ns in tube.boxes]
                if common:
                    own = np.array([tube.boxes[ns].box_xyxy_px for ns in common], np.float32)
                    asked = np.array([places[ns] for ns in common], np.float32)
                    rated.append((float(paired_iou(own, asked).mean()), len(common), tube))
            overlap, _, best = max(rated, key=lambda one: one[:2], default=(0.0, 0, None))
        return best if overlap >= _SAME_TUBE else None

    def span_ns(self, camera: str) -> tuple[int, int] | None:
        """First and last stamp of a camera's remembered images; None without any."""
        with self._lock:
            view = self._cameras.get(camera)
            if view is None or not view.frames:
                return None
            return next(iter(view.frames)), next(reversed(view.frames))

    def clip(self, camera: str, start_ns: int, end_ns: int) -> Clip | None:
        """The remembered images of a span, both ends included, with their tubes; None if none."""
        with self._lock:
            view = self._cameras.get(camera) or _CameraMemory()
            kept = {ns: one for ns, one in view.frames.items() if start_ns <= ns <= end_ns}
            newest = next(reversed(kept.values()), None)
            # A camera whose image size changed: the later part.
            kept = {ns: one for ns, one in kept.items() if one.size_px == newest.size_px}  # type: ignore[union-attr]
            tubes = [tube.candidate(tuple(kept)) for tube in view.tubes]
        if not kept:
            return None
        frames = tuple(
            Frame(ns, jpeg_image(one.jpeg), *one.size_px, one.frame_id, stream=f"{camera} memory")
            for ns, one in kept.items()
        )
        return Clip(frames, tuple(tube for tube in tubes if tube is not None))

    def _keep_frames(self, view: _CameraMemory, clip: Clip) -> None:
        step_ns = round(0.95e9 / self._config().rate_hz)
        last_ns = next(reversed(view.frames), -(2**62))
        for frame in clip.frames:
            if frame.stamp_ns - last_ns < step_ns:
                continue
            last_ns = frame.stamp_ns
            size_px = frame.source_width_px, frame.source_height_px
            data = jpeg_bytes(frame.image, max(frame.image.shape), _JPEG_QUALITY)
            view.frames[last_ns] = RememberedFrame(frame.frame_id, size_px, data, self._clock())

    def _linked(
        self,
        view: _CameraMemory,
        clip: Clip,
        candidates: Sequence[CandidateTube],
        rows: Sequence[int],
    ) -> list[RememberedTube | None]:
        """The remembered tube of each candidate, None for a new one; each at most once."""
        stamps_ns = [frame.stamp_ns for frame in clip.frames]
        rated = []
        for index, candidate in enumerate(candidates):
            for tube in view.tubes:
                common = [i for i in rows if candidate.present[i] and stamps_ns[i] in tube.boxes]
                if common:
                    then = [tube.boxes[stamps_ns[i]].box_xyxy_px for i in common]
                    pairs = np.array(then, np.float32), candidate.boxes_xyxy_px[common]
                    rated.append((float(paired_iou(*pairs).mean()), index, tube))
        found: list[RememberedTube | None] = [None] * len(candidates)
        for overlap, index, tube in sorted(rated, key=lambda item: -item[0]):
            if overlap >= _SAME_TUBE and found[index] is None and tube not in found:
                found[index] = tube
        return found

    def _extend(
        self, tube: RememberedTube, clip: Clip, candidate: CandidateTube, rows: Sequence[int]
    ) -> None:
        """Adds a candidate's boxes in the remembered images."""
        for i in rows:
            frame = clip.frames[i]
            if candidate.present[i] and frame.stamp_ns not in tube.boxes:
                x1, y1, x2, y2 = map(float, candidate.boxes_xyxy_px[i])
                placed = TubeBox(
                    frame.stamp_ns, (x1, y1, x2, y2), 1.0, bool(candidate.interpolated[i])
                )
                tube.boxes[frame.stamp_ns] = self._place(placed, frame)

    def _describe(self, clip: Clip, joined: Sequence[tuple[CandidateTube, RememberedTube]]) -> None:
        """Adds what the new frames show to appearances and pictures."""
        since_ns = [tube.described_ns for _, tube in joined]
        parts = self._describer.of_tubes(clip, [one for one, _ in joined], since_ns)
        for (candidate, tube), part in zip(joined, parts, strict=True):
            tube.appearance.join(part)
            tube.add_crops(clip, candidate)
            tube.described_ns = clip.frames[np.flatnonzero(candidate.present)[-1]].stamp_ns

    def _trim(self) -> None:
        """With the lock: applies the bounds."""
        config, now_s = self._config(), self._clock()
        for view in self._cameras.values():
            if not view.frames:
                continue
            oldest_ns = next(reversed(view.frames)) - round(config.duration_s * 1e9)
            oldest_s = now_s - config.duration_s
            while view.frames:
                stamp_ns, frame = next(iter(view.frames.items()))
                if stamp_ns >= oldest_ns and frame.kept_s >= oldest_s:
                    break
                self._drop_oldest(view)
        nbytes = {name: view.nbytes for name, view in self._cameras.items()}
        while sum(nbytes.values()) > config.max_bytes:
            largest = max(nbytes, key=lambda name: nbytes[name])
            view = self._cameras[largest]
            if not view.frames:
                break
            self._drop_oldest(view)
            nbytes[largest] = view.nbytes

    def _drop_oldest(self, view: _CameraMemory) -> None:
        """Drops the oldest image, and the tubes that are in no later one."""
        view.frames.popitem(last=False)
        first_ns = next(iter(view.frames), None)
        if first_ns is None:
            view.tubes.clear()
            return
        view.tubes = [tube for tube in view.tubes if tube.boxes and max(tube.boxes) >= first_ns]
        for tube in view.tubes:
            tube.forget(first_ns)
