# SPDX-License-Identifier: Apache-2.0

"""The parts of a configured node, and how they are connected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rclpy.node import Node

from stvg_ros.config import Config
from stvg_ros.errors import StvgError
from stvg_ros.identity.descriptor_choice import build_descriptor
from stvg_ros.identity.tube_describer import TubeDescriber
from stvg_ros.node.answer_publisher import AnswerPublisher
from stvg_ros.node.async_bridge import PendingCalls
from stvg_ros.node.cameras import Cameras
from stvg_ros.node.commands import Commands
from stvg_ros.node.diagnostics import Diagnostics
from stvg_ros.node.follow import Follow, FoundTarget
from stvg_ros.node.intake import Intake
from stvg_ros.node.names import Names
from stvg_ros.node.positions import Locator, transform_history_s
from stvg_ros.node.standing_queries import StandingQueries
from stvg_ros.node.target_pictures import TargetPictures
from stvg_ros.node.tracking import Tracking
from stvg_ros.node.viewer_stream import ViewerStream
from stvg_ros.runtime.camera_search import Answer, CameraViews
from stvg_ros.runtime.grounding_queue import GroundingQueue
from stvg_ros.runtime.recollection import Recollection
from stvg_ros.types import Clip, Grounding, Query
from stvg_ros.window import Window


@dataclass(frozen=True)
class Parts:
    """The parts of the node between configure and cleanup."""

    cameras: Cameras
    locator: Locator
    answers: AnswerPublisher
    pictures: TargetPictures
    standing: StandingQueries
    intake: Intake
    commands: Commands
    diagnostics: Diagnostics
    tracking: Tracking
    recollection: Recollection
    names: Names
    viewer: ViewerStream | None

    def close(self) -> None:
        """Destroys all interfaces."""
        if self.viewer is not None:
            self.viewer.close()
        self.diagnostics.close()
        self.cameras.stop()
        self.tracking.close()
        self.names.close()
        self.commands.close()
        self.standing.close()
        self.answers.close()
        self.pictures.close()
        self.locator.close()
        self.recollection.memory.clear()


class _Connection:
    """Passes answers on to the parts that are made after the intake. Any thread may call it."""

    def __init__(self, locator: Locator, follow: Follow, tracking: Tracking) -> None:
        self._locator = locator
        self._follow = follow
        self._tracking = tracking
        self._names: Names | None = None
        self._recollection: Recollection | None = None
        self._intake: Intake | None = None

    def connect(self, names: Names, recollection: Recollection, intake: Intake) -> None:
        """Sets the later parts."""
        self._names, self._recollection, self._intake = names, recollection, intake

    def finish(self, grounding: Grounding, clip: Clip) -> Grounding:
        """Completes the answer of one camera."""
        self._tracking.finish(grounding, clip)
        if self._names is not None:
            grounding = self._names.finish(grounding, clip)
        return self._locator.finish(grounding, clip)

    def answered(self, grounding: Grounding) -> None:
        """An answer was published: its target may be followed."""
        if self._names is None or self._recollection is None:
            return
        best = grounding.best
        name, appearance = self._names.appearance_of(best.query)
        if appearance is None:
            appearance = self._recollection.appearance_of(best)
        self._follow.answered(FoundTarget(best, appearance, name))

    def offer(self, query: Query, views: CameraViews, answer: Answer) -> bool:
        """Submits the query of a search while no command waits."""
        try:
            return self._intake is not None and self._intake.offer(query, views, answer) is not None
        except StvgError:
            return False


def assembled_parts(
    node: Node,
    config: Config,
    current: Callable[[], Config],
    queue: Callable[[], GroundingQueue],
    calls: PendingCalls,
) -> Parts:
    """Creates the interfaces.

    Args:
        node: publishes and subscribes.
        config: the checked configuration.
        current: returns the configuration with later changes.
        queue: returns the queue of commands, or raises why there is none.
        calls: counts the clients that wait for an answer.

    Raises:
        StvgError: a part cannot be made.
    """
    cameras = Cameras(node, current)

    def window(name: str) -> Window:
        return cameras[name].window

    locator = Locator(node, config.depth, transform_history_s(config))
    describer = TubeDescriber(build_descriptor(config.identity))
    answers, pictures = AnswerPublisher(node, cameras, current), TargetPictures(node, window)
    recollection = Recollection(current, window, describer, locator.located_box)
    follow = Follow(node, window, current, locator.located_box, describer, pictures)
    tracking = Tracking(node, cameras, current, locator, follow, recollection)
    connection = _Connection(locator, follow, tracking)
    viewer = ViewerStream.of(node, cameras, config.rerun)
    watching = () if viewer is None else (viewer.answered,)
    listeners = (answers.publish, pictures.answered, connection.answered, *watching)
    intake = Intake(
        cameras, queue, current, connection.finish, listeners, answers.publish_preliminary
    )
    intake.set_memory(recollection.search_of)
    follow.set_search(connection.offer, tracking.wake)
    standing = StandingQueries(node, intake, current)
    known = recollection.appearance_like
    names = Names(node, intake, current, follow.followed, window, describer, known)
    connection.connect(names, recollection, intake)
    return Parts(
        cameras,
        locator,
        answers,
        pictures,
        standing,
        intake,
        Commands(node, intake, standing, calls),
        Diagnostics(
            node, cameras, queue, standing, config.diagnostics.period_s, recollection.memory
        ),
        tracking,
        recollection,
        names,
        viewer,
    )
