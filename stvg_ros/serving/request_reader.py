# SPDX-License-Identifier: Apache-2.0

"""A request's body, and the records and images in it: bounded first, then made, in threads."""

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

    Thread contract: the event loop's thread calls the methods; parsing and decoding, which take
    long where a client wants it so, run in threads of their own.
    """

    def __init__(self, limits: ServingConfig) -> None:
        self._limits = limits
        threads = min(_MAX_THREADS, os.cpu_count() or 1)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="decoding")

    def close(self) -> None:
        """Ends the threads after what they are at."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def body(self, http: HttpRequest, reservation: Reservation) -> bytes:
        """The body, of bounded size and in bounded time.

        Twice its size is reserved: what it contains is a copy of it.

        Raises:
            RefusedError: too large, too slow, or broken off.
            QueueFullError: there is no memory for it.
        """
        limit = self._limits.max_body_bytes
        too_large = RefusedError(
            413,
            f"the request: expected at most serving.max_body_bytes = {limit}, got more; send "
            "fewer or smaller frames",
        )
        length = http.headers.get("content-length", "")
        if length.isdecimal():
            if len(length) > 20 or int(length) > limit:
                raise too_large
            reservation.resize(2 * int(length))

        async def read() -> bytes:
            body = bytearray()
            async for chunk in http.stream():
                body += chunk
                if len(body) > limit:
                    raise too_large
                if not length:
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
            raise RefusedError(400, "the client went away before its request was there") from None

    async def parsed(self, parse: Callable[[bytes], T], body: bytes) -> T:
        """What `parse` makes of the body, in a thread."""
        return await self._in_thread(partial(parse, body))

    async def frames(
        self, sent: Sequence[SentFrame], stream: str, reservation: Reservation
    ) -> Mapping[int, Frame]:
        """The frames that came with their image, by id.

        Args:
            sent: as the client sent them.
            stream: the session, before the client's own name for its camera.
            reservation: of the request, which holds twice the images' bytes.

        Raises:
            ImageError: an image that does not decode.
            RefusedError: more than a session may hold.
            QueueFullError: there is no memory for it.
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
            for one in decoding:  # none goes on after another has failed
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
    """Frames of pictures of which only the file is known: turned ones have their own size.

    OpenCV turns a picture as its EXIF data says, so width and height may change places.
    """
    return {
        number: replace(
            frame, source_width_px=frame.image.shape[1], source_height_px=frame.image.shape[0]
        )
        for number, frame in frames.items()
    }


def _decoded_bytes(images: Sequence[bytes]) -> int:
    """What the images become, by their headers."""
    total = 0
    for image in images:
        width, height = decoded_size(image)
        total += max(3 * width * height, MIN_FRAME_BYTES)
    return total
