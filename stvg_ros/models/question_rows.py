# SPDX-License-Identifier: Apache-2.0

"""From recorded attention to the rows of each question in each pass.

Dimensions: B passes, Q questions, R rows, S x h x w cells of the picture.
"""

from __future__ import annotations

from collections.abc import Sequence

from stvg_ros.method.interfaces import AttentionRows
from stvg_ros.models.attention_capture import AttentionRecorder
from stvg_ros.models.batched_prompts import BatchedPrompts
from stvg_ros.models.packed_prompts import PackedPrompts
from stvg_ros.models.prefix import HfPrefix
from stvg_ros.models.prompt import Suffix


def question_rows(
    prefix: HfPrefix,
    suffixes: Sequence[Suffix],
    asked: PackedPrompts | BatchedPrompts,
    recorder: AttentionRecorder,
    uses: Sequence[str],
) -> list[list[AttentionRows]]:
    """The rows of each question in each pass, B lists of Q.

    Args:
        prefix: the states of the B passes.
        suffixes: the Q questions.
        asked: their arrangement.
        recorder: filled by a pass over them.
        uses: what each of the recorder's sets of heads is for, "mean" first.
    """
    place = prefix.visual.on_picture
    mean, *selected = [asked.split(recorder.mean(at)) for at in range(len(uses))]
    return [
        [
            AttentionRows(
                place(mean[i][at]),
                suffix.labels,
                heads={
                    use: place(rows[i][at]) for use, rows in zip(uses[1:], selected, strict=True)
                },
            )
            for i, suffix in enumerate(suffixes)
        ]
        for at in range(prefix.passes)
    ]
