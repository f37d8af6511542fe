# SPDX-License-Identifier: Apache-2.0

"""The camera images of a bag: selects the topic and reads its messages in recorded order."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rosbags.typesys import Stores, get_typestore

from stvg_ros.errors import ImageError, RecordingError
from stvg_ros.io.bag_files import BagFiles, open_files
from stvg_ros.io.bag_storage import Channel, StorageFile, StoredMessage
from stvg_ros.io.image_messages import COMPRESSED, compressed_frame, image_frame, is_depth
from stvg_ros.io.read_report import ReadReport
from stvg_ros.stamps import HeaderStamps
from stvg_ros.types import Frame

ANY_SIZE_PX = 1 << 20  # no image is longer
_STORE = get_typestore(Stores.ROS2_JAZZY)


@dataclass(frozen=True)
class RawMessage:
    """A recorded message: its time of recording and its CDR bytes."""

    recorded_ns: int
    data: bytes

    @property
    def stamp_ns(self) -> int:
        """The stamp of its header, which is its first field.

        Raises:
            struct.error: the message is too short for one.
            ImageError: not a valid time.
        """
        # Four bytes of encapsulation; the second one holds the byte order.
        order = "<" if self.data[1:2] != b"\0" else ">"
        seconds, nanoseconds = struct.unpack_from(f"{order}iI", self.data, 4)
        if seconds < 0 or nanoseconds >= 1_000_000_000:
            raise ImageError(f"header.stamp: sec={seconds} nanosec={nanoseconds} is no time")
        return int(seconds) * 1_000_000_000 + int(nanoseconds)


@dataclass(frozen=True, eq=False)
class BagImage:
    """An image message whose pixels are not converted yet.

    Attributes:
        stamp_ns: the header's stamp, or the time of recording if the camera does not stamp;
            -1 for an invalid stamp, whose frame is rejected.
        place: its position in the recording, for random access.
        raw: the message as it is in the recording.
        type: `image_messages.IMAGE` or `COMPRESSED`.
        name: its name in error messages.
        error: why it cannot be used; "" if no error is known.
    """

    stamp_ns: int
    place: tuple[int, int, int]
    raw: RawMessage
    type: str
    name: str
    error: str = ""

    def frame(self, long_side_px: int | None = None) -> Frame:
        """The image in RGB, scaled down to the long side if one is given, as in the node.

        Raises:
            ImageError: an unknown encoding, or bytes that do not decode.
        """
        if self.error:
            raise ImageError(f"{self.name}: {self.error}")
        try:
            message: Any = _STORE.deserialize_cdr(self.raw.data, self.type)
        except Exception as error:  # damaged bytes raise errors of many kinds
            raise ImageError(
                f"{self.name}: its {len(self.raw.data)} bytes are no {self.type} ({error}); the "
                "message is damaged"
            ) from error
        convert = compressed_frame if self.type == COMPRESSED else image_frame
        try:
            found = convert(message, long_side_px or ANY_SIZE_PX)
        except ImageError as error:
            raise ImageError(f"{self.name}: {error}") from error
        return replace(found, stamp_ns=self.stamp_ns)


def image_type(text: str) -> str:
    """`IMAGE` or `COMPRESSED` for any spelling of these types, "" for another type."""
    found = re.fullmatch(
        r"sensor_msgs(?:/|::)(?:msg(?:/|::))?(?:dds_::)?(Image|CompressedImage)_?", text
    )
    return f"sensor_msgs/msg/{found[1]}" if found else ""


class BagRecording:
    """An open bag with its image topic. One thread uses it.

    Attributes:
        path: of the bag.
        topic: name of its image topic.
        type: `image_messages.IMAGE` or `COMPRESSED`, of the first message.
        report: of the latest pass.
    """

    def __init__(self, path: Path, topic: str | None = None) -> None:
        """Opens the bag and chooses the topic.

        Args:
            path: its folder, or one of its files.
            topic: the image topic, needed where there are several cameras.

        Raises:
            RecordingError: it cannot be read at all, has no such topic, or has several.
        """
        self.path = path
        self.report = ReadReport()
        self._files: BagFiles = open_files(path, self.report)
        try:
            self.topic = self._chosen(topic)
        except BaseException:
            self.close()
            raise
        self._channels = [self._of_topic(file, self.topic) for file in self._files.files]
        self.type = next(
            image_type(channel.type) for channels in self._channels for channel in channels.values()
        )
        self._tell_damage()

    def close(self) -> None:
        """Closes its files and removes the unpacked ones."""
        self._files.close()

    def _tell_damage(self) -> None:
        for file in self._files.files:
            for sentence in file.notes:
                self.report.note(sentence)

    @staticmethod
    def _of_topic(file: StorageFile, topic: str | None) -> dict[int, Channel]:
        """The file's channels of ROS 2 images with messages, of one topic or of all, by number."""
        return {
            channel.id: channel
            for channel in file.channels
            if image_type(channel.type) and channel.encoding == "cdr" and channel.count
            and topic in (None, channel.topic)
        }  # fmt: skip

    def _chosen(self, topic: str | None) -> str:
        """The requested image topic, or the only colour camera."""
        images: dict[str, list[tuple[StorageFile, Channel]]] = {}
        for file in self._files.files:
            for channel in self._of_topic(file, None).values():
                images.setdefault(channel.topic, []).append((file, channel))
        names = ", ".join(sorted(images)) or "none"
        if topic is not None and topic not in images:
            raise RecordingError(
                f"{self.path}: no image topic {topic!r}; image topics in it: {names}"
            )
        if topic is None and not images:
            raise RecordingError(self._without_images())
        depths = {name for name, channels in images.items() if self._is_depth(*channels[0])}
        colours = sorted(set(images) - depths)
        if topic is not None:
            if topic in depths:
                raise RecordingError(
                    f"{self.path}: {topic} has depth images; expected a colour camera: "
                    f"{', '.join(colours) or 'none in it'}"
                )
            return topic
        if not colours:
            raise RecordingError(f"{self.path}: expected colour images, got depth only: {names}")
        if len({name.removesuffix("/compressed") for name in colours}) > 1:
            raise RecordingError(
                f"{self.path}: has several image topics ({', '.join(colours)}); name one of them "
                "with --topic"
            )
        return self._of_one_camera(colours, images)

    def _of_one_camera(
        self, names: list[str], images: dict[str, list[tuple[StorageFile, Channel]]]
    ) -> str:
        """Of a camera's topic and its JPEG images, the one with more messages."""
        counts = {name: sum(each.count for _, each in images[name]) for name in names}
        chosen = max(names, key=counts.__getitem__)  # of equal ones the first, which is raw
        others = ", ".join(f"{name} ({counts[name]})" for name in names if name != chosen)
        if others:
            self.report.note(
                f"{self.path}: {chosen} ({counts[chosen]} messages) is read; of the same camera "
                f"is {others}"
            )
        return chosen

    def _without_images(self) -> str:
        """The error for a bag without readable images."""
        channels = [channel for file in self._files.files for channel in file.channels]
        notes = [note for file in self._files.files for note in file.notes]
        if notes and not any(channel.count for channel in channels):
            return (
                f"{self.path}: cannot be read as a rosbag2 recording ({'; '.join(notes)}); no "
                "message is left in it"
            )
        every = ", ".join(sorted({f"{c.topic} ({c.type})" for c in channels})) or "none"
        text = f"{self.path}: expected an image topic with messages; topics: {every}"
        other = sorted({c.encoding for c in channels if c.encoding != "cdr"})
        if any(encoding.startswith("ros1") for encoding in other):
            return (
                f"{text}; its messages are those of ROS 1; expected ROS 2: convert its .bag file "
                "with 'rosbags-convert --src FILE --dst FOLDER' of the Python package rosbags"
            )
        if other:
            return (
                f"{text}; encoded as {', '.join(other)}; expected ROS 2 messages (cdr) of "
                "sensor_msgs: record the camera's topic with 'ros2 bag record'"
            )
        return text

    @staticmethod
    def _is_depth(file: StorageFile, channel: Channel) -> bool:
        """Whether the first message is a depth image."""
        for stored in file.messages([channel.id]):
            try:
                message: Any = _STORE.deserialize_cdr(stored.data, image_type(channel.type))
            except Exception:  # damaged: the next message decides
                continue
            return is_depth(getattr(message, "format", "") or getattr(message, "encoding", ""))
        return False

    # --- images ----------------------------------------------------------------------------------

    def images(self) -> Iterator[BagImage]:
        """All images in recorded order; a damaged one raises when it is converted.

        Raises:
            RecordingError: no message can be read.
        """
        self.report.begin()
        stamps = HeaderStamps()
        for number, (file, channels) in enumerate(
            zip(self._files.files, self._channels, strict=True)
        ):
            for stored in file.messages(list(channels)) if channels else ():
                image = self._image(number, stored, channels[stored.channel], stamps)
                if image.error:
                    self.report.lost[image.error] += 1
                else:
                    self.report.read += 1
                yield image
        if stamps.unstamped:
            self.report.note(
                f"{self.topic}: its images have no stamps of their own; the times of "
                "recording are taken"
            )
        self._tell_damage()
        self._tell_missing()
        if not self.report.read:
            raise RecordingError(
                f"{self.path}: cannot be read as a rosbag2 recording "
                f"({'; '.join(self.report.sentences)}); its copy may be damaged: copy it again"
            )

    def _tell_missing(self) -> None:
        """Compares a damaged bag with the counts in metadata.yaml."""
        expected = self._files.counts.get(self.topic, 0)
        missing = expected - self.report.read - sum(self.report.lost.values())
        if missing > 0 and self.report.notes:
            reason = f"{self.path}: not in the files, of {expected} by metadata.yaml"
            self.report.miss(reason, missing)

    def _image(
        self, number: int, stored: StoredMessage, channel: Channel, stamps: HeaderStamps
    ) -> BagImage:
        raw = RawMessage(stored.recorded_ns, stored.data)
        name = f"{self.path}: the image recorded at {stored.recorded_ns} ns on {self.topic}"
        stamp_ns, error = -1, stored.error
        if not error:
            try:
                stamp_ns = stamps.stamp_ns(raw.stamp_ns, stored.recorded_ns)
                if stamp_ns < 0:
                    error = "a stamp of zero among others"
            except struct.error:
                error = f"{len(stored.data)} bytes are too short for an image message"
            except ImageError as cause:
                error = str(cause)
        place = (number, *stored.place)
        return BagImage(stamp_ns, place, raw, image_type(channel.type), name, error)

    def messages(self) -> Iterator[BagImage]:
        """Images whose messages can be published: of the topic's type, and not empty.

        Damaged images are included, since a node also receives them from a live camera.
        """
        for image in self.images():
            if image.raw.data and image.type == self.type:
                yield image

    def scan(self) -> Sequence[tuple[int, tuple[int, int, int]]]:
        """Stamp and place of all images that have a stamp, without converting any."""
        return [(image.stamp_ns, image.place) for image in self.images() if image.stamp_ns >= 0]

    def at(
        self, place: tuple[int, int, int], stamp_ns: int
    ) -> Iterator[tuple[tuple[int, int, int], BagImage]]:
        """The image at a place that `scan` returned."""
        number, *where = place
        data = self._files.files[number].read((where[0], where[1]))
        name = f"{self.path}: the image of {stamp_ns} ns on {self.topic}"
        yield place, BagImage(stamp_ns, place, RawMessage(stamp_ns, data), self.type, name)
