# SPDX-License-Identifier: Apache-2.0

"""Reads request bodies and decodes their records and images, in threads and within bounds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest

from stvg_ros.serving.authentication import RefusedError
from stvg_ros.serving.image_codec import decoded, decoded_size
from stvg_ros.serving.memory_budget import Reservation
from stvg_ros.serving.schema import SentFrame
from stvg_ros.serving.sessions import MIN_FRAME_BYTES
from stvg_ros.serving.settings import ServingConfig
from stvg_ros.types import Frame

_MAX_THREADS = 4

T = TypeVar("T")


class RequestReader:
    """Reads and decodes the requests of one replica.

    Thread contract: the event loop's thread calls the methods; parsing and decoding, which a
    client can make slow, run in separate threads.
    """

    def __init__(self, limits: ServingConfig) -> None:
        self._limits = limits
        threads = min(_MAX_THREADS, os.cpu_count() or 1)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="decoding")

    def close(self) -> None:
        """Ends the threads after their current work."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def body(self, http: HttpRequest, reservation: Reservation) -> bytes:
        """The body, of bounded size and in bounded time.

        Twice its size is reserved, since the parsed content is a copy.

        Raises:
            RefusedError: too large, too slow, or aborted.
            QueueFullError: not enough memory in the budget.
        """
        limit = self._limits.max_body_bytes
        too_large = RefusedError(
            413,
            f"the request: expected at most serving.max_body_bytes = {limit}, got more; send "
            "fewer or smaller frames",
        )
        length = http.headers.get("content-length", "")
        declared = length.isdecimal()
        if declared:
            if len(length) > 20 or int(length) > limit:
                raise too_large
            reservation.resize(2 * int(length))

        async def read() -> bytes:
            body = bytearray()
            async for chunk in http.stream():
                body += chunk
                if len(body) > limit:
                    raise too_large
                if not declared:
                    reservation.resize(2 * len(body))
            return bytes(body)

        try:
            return await asyncio.wait_for(read(), self._limits.body_timeout_s)
        except asyncio.TimeoutError:
            raise RefusedError(
                408,
                "the request did not arrive within serving.body_timeout_s = "
                f"{self._limits.body_timeout_s:g} s",
            ) from None
        except ClientDisconnect:
            raise RefusedError(400, "the client went away during its request") from None

    async def parsed(self, parse: Callable[[bytes], T], body: bytes) -> T:
        """The result of `parse` on the body, computed in a thread."""
        return await self._in_thread(partial(parse, body))

    async def frames(
        self, sent: Sequence[SentFrame], stream: str, reservation: Reservation
    ) -> Mapping[int, Frame]:
        """The frames that were sent with an image, by id.

        Args:
            sent: as the client sent them.
            stream: name of the session; prefix of the client's camera names.
            reservation: of the request; holds twice the images' bytes.

        Raises:
            ImageError: an image does not decode.
            RefusedError: more than a session may hold.
            QueueFullError: not enough memory in the budget.
        """
        given = [(one, one.image) for one in sent if one.image is not None]
        images = [image for _, image in given]
        nbytes = await self._in_thread(partial(_decoded_bytes, images))
        limit = self._limits.session_bytes
        if nbytes > limit:
            raise RefusedError(
                413,
                f"frames: expected at most serving.session_bytes = {limit} when decoded, got "
                f"{nbytes}; send fewer or smaller ones",
            )
        reservation.resize(2 * sum(map(len, images)) + nbytes)
        decoding = [
            asyncio.ensure_future(self._in_thread(partial(decoded, image))) for image in images
        ]
        try:
            pixels = await asyncio.gather(*decoding)
        finally:
            for one in decoding:  # cancels the others after one failed
                one.cancel()
        frames = {
            one.id: Frame(
                one.stamp_ns,
                image,
                one.width_px,
                one.height_px,
                one.frame_id,
                stream=f"{stream}/{one.stream}",
            )
            for (one, _), image in zip(given, pixels, strict=True)
        }
        reservation.resize(nbytes)
        return frames

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def upright(frames: Mapping[int, Frame]) -> Mapping[int, Frame]:
    """Frames of image files, with the source size of rotated images corrected.

    OpenCV rotates an image by its EXIF orientation, which may swap width and height.
    """
    return {
        number: replace(
            frame, source_width_px=frame.image.shape[1], source_height_px=frame.image.shape[0]
        )
        for number, frame in frames.items()
    }


def _decoded_bytes(images: Sequence[bytes]) -> int:
    """Size of the decoded images, from their headers."""
    total = 0
    for image in images:
        width, height = decoded_size(image)
        total += max(3 * width * height, MIN_FRAME_BYTES)
    return total
