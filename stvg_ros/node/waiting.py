# Copyright 2026 the stvg_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except
# in compliance with the License. You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software distributed under the License
# is distributed on an "AS IS" BASIS, WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express
# or implied. See the License for the specific language governing permissions and limitations under
# the License.

"""Coroutines of the executor that wait for other threads."""

from __future__ import annotations

import concurrent.futures
from typing import Any

from rclpy.node import Node
from rclpy.task import Future


async def over(node: Node, work: concurrent.futures.Future[Any]) -> None:
    """Waits until another thread's work is over, well or not, while the executor goes on.

    A callback that waits keeps the callbacks of its mutually exclusive group from running, so it
    belongs into a reentrant one.
    """
    executor = node.executor
    done: Future = Future(executor=executor)

    def finish(work: concurrent.futures.Future[Any]) -> None:
        done.set_result(None)
        if executor is not None:
            executor.wake()  # it looks at what waits only when something happens

    work.add_done_callback(finish)
    await done
