# SPDX-License-Identifier: Apache-2.0

"""The tools of the MCP server: what an agent may ask a robot that grounds sentences."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import anyio.to_thread
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ImageContent, TextContent
from pydantic import Field

from stvg_ros.agents.agent_answer import AgentAnswer, jpeg, people_of
from stvg_ros.agents.node_client import NodeClient, Watch
from stvg_ros.errors import StvgError
from stvg_ros.msg import Target, Tube

_PICTURE_S = 2.0  # an answer does not wait longer for its picture
_FOLLOW_S = 5.0
_SLICE_S = 1.0  # between reports of progress
_T = TypeVar("_T")

Person = Annotated[
    str, Field(description="whom, in English: 'the person in red who waves'", max_length=800)
]
Camera = Annotated[str, Field(description="name of one camera; empty: all of them")]
Answer = Annotated[CallToolResult, AgentAnswer]


class RobotTools:
    """The tools, as methods; each asks the node and answers with values and a picture.

    Thread contract: the server's event loop; the node is asked in worker threads.
    """

    def __init__(self, client: NodeClient) -> None:
        self._client = client

    async def find_person(self, description: Person, camera: Camera = "") -> Answer:
        """Finds the person that the description fits in the last seconds of the cameras."""
        tubes = await self._asked(self._client.find, f"find {description}", camera)
        return await self._reply(_outcome(tubes[0]), _sentence(tubes[0]), tubes)

    async def count_people(
        self,
        description: Annotated[
            str, Field(description="whom to count: 'people in red who sit'", max_length=800)
        ] = "people",
        camera: Camera = "",
    ) -> Answer:
        """Counts the people that the description fits in the last seconds of the cameras."""
        return await self._question(f"count {description}", camera)

    async def describe_person(
        self,
        description: Person,
        about: Annotated[
            Literal["description", "clothes", "pose", "gesture", "action"],
            Field(description="what to describe"),
        ] = "description",
        camera: Camera = "",
    ) -> Answer:
        """Describes a person: clothes, pose, gesture, action, or all of it."""
        wanted = {"description": f"describe {description}"}
        return await self._question(
            wanted.get(about, f"tell me the {about} of {description}"), camera
        )

    async def follow_person(self, description: Person, camera: Camera = "") -> Answer:
        """Finds a person and publishes its place for each new image until `stop`."""
        switched = await self._asked(self._client.follow, True)
        if not switched.success:
            raise ToolError(f"{self._client.target}/follow: {switched.message}")
        tubes = await self._asked(self._client.find, f"follow {description}", camera)
        best = tubes[0]
        if best.status != Tube.FOUND:
            return await self._reply(_outcome(best), _sentence(best), tubes)
        target = await self._asked(self._client.followed, best.query_id, _FOLLOW_S)
        if target is None:
            text = "found, but not located in a newer image yet; do images arrive?"
            return await self._reply("found", text, tubes)
        if target.status != Target.FOLLOWING:
            return await self._reply("found", f"found, but not followed: {target.reason}", tubes)
        return await self._reply("following", f"following: {best.query}", tubes)

    async def stop(self) -> Answer:
        """Stops following, and every `watch_for` of this server."""
        watches = self._client.stop_watches()
        switched = await self._asked(self._client.follow, False)
        if not switched.success:
            raise ToolError(f"{self._client.target}/follow: {switched.message}")
        return await self._reply("stopped", f"{switched.message}; watches stopped: {watches}", [])

    async def watch_for(
        self,
        event: Annotated[
            str, Field(description="what to wait for: 'somebody falls'", max_length=800)
        ],
        context: Context,
        timeout_s: Annotated[float, Field(description="seconds to watch", gt=0, le=3600)] = 60.0,
        rate_hz: Annotated[float, Field(description="searches per second", gt=0, le=10)] = 1.0,
        camera: Camera = "",
    ) -> Answer:
        """Watches the cameras, and answers when the event is seen, also if it is so already."""
        begin, watch = time.monotonic(), await self._asked(
            self._client.watch, event, camera, rate_hz
        )  # fmt: skip
        try:
            while (waited_s := time.monotonic() - begin) < timeout_s and not watch.stopped:
                await context.report_progress(waited_s, timeout_s)
                await self._asked(_next_answer, watch, min(_SLICE_S, timeout_s - waited_s))
                for tube in watch.tubes:
                    if tube.status == Tube.FAILED:
                        raise ToolError(tube.error)
                    if tube.status == Tube.FOUND:
                        return await self._reply("found", f"seen: {event}", [tube])
        finally:
            self._client.end(watch)
        if watch.stopped:
            return await self._reply("stopped", f"stopped after {waited_s:.1f} s", [])
        return await self._reply("timed_out", f"not seen within {timeout_s:g} s: {event}", [])

    async def _question(self, text: str, camera: str) -> CallToolResult:
        response = await self._asked(self._client.ask, text, camera)
        if response.error_code != Tube.ERROR_NONE:
            raise ToolError(response.error)
        answer = response.answer
        return await self._reply("answered", answer.text, answer.tubes, answer.number)

    async def _asked(self, call: Callable[..., _T], *values: Any) -> _T:
        """Runs a blocking call in a thread; errors of ours become the tool's answer."""
        try:
            return await anyio.to_thread.run_sync(partial(call, *values), abandon_on_cancel=True)
        except StvgError as error:
            raise ToolError(str(error)) from error

    async def _reply(
        self, outcome: str, text: str, tubes: list[Tube], number: int | None = None
    ) -> CallToolResult:
        """The result with the values, and the picture where the node published one."""
        shown = [tube for tube in tubes if tube.boxes]
        people = people_of(shown)
        warning = shown[0].warning if shown else ""
        values = {
            "outcome": outcome,
            "text": text,
            "number": len(people) if number is None else int(number),
            "people": [asdict(person) for person in people],
            "warning": warning,
        }
        content: list[Any] = [TextContent(type="text", text=text)]
        if shown:
            picture = await self._asked(self._client.picture, shown[0], _PICTURE_S)
            if picture is not None:
                data = base64.b64encode(await self._asked(jpeg, picture, shown[1:])).decode("ascii")
                content.append(ImageContent(type="image", data=data, mime_type="image/jpeg"))
        return CallToolResult(content=content, structured_content=values)


def _next_answer(watch: Watch, timeout_s: float) -> None:
    watch.changed.wait(timeout_s)
    watch.changed.clear()


def _outcome(tube: Tube) -> str:
    """The outcome of a command's best tube. Raises: ToolError for a failed one."""
    if tube.status == Tube.FAILED:
        raise ToolError(tube.error)
    return "found" if tube.status == Tube.FOUND else "not_found"


def _sentence(tube: Tube) -> str:
    if tube.status != Tube.FOUND:
        reason = f" ({tube.error})" if tube.error else ""
        return f"not seen in the last seconds: {tube.query}{reason}"
    return f"found with confidence {tube.confidence:.2f}: {tube.query}"


def mcp_server(client: NodeClient) -> MCPServer:
    """The MCP server with the tools of this client."""
    server = MCPServer(
        "stvg_ros",
        instructions="Finds, counts, describes, follows and watches people in a robot's cameras. "
        "Descriptions are English sentences about what can be seen.",
        log_level="WARNING",
    )
    tools = RobotTools(client)
    for tool in (
        tools.find_person,
        tools.count_people,
        tools.describe_person,
        tools.follow_person,
        tools.stop,
        tools.watch_for,
    ):
        server.add_tool(tool)
    return server
