# SPDX-License-Identifier: Apache-2.0

"""What grounders and sources of tubes do that define nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import noise_clip

from stvg_ros.config import Config
from stvg_ros.errors import ProposalError
from stvg_ros.method.base import BaseGrounder, BaseProposer
from stvg_ros.proposals.settings import ProposalConfig


def test_a_grounder_without_a_state() -> None:
    clip = noise_clip(2)
    grounder = BaseGrounder()
    grounder.observe(clip.frames[0])
    grounder.forget()
    grounder.reconfigure(Config())
    assert grounder.prefetch(clip) is False  # else it would be called again at once
    assert grounder.prepared_bytes == 0
    assert (grounder.proposer, grounder.candidates) == (None, "")
    assert grounder.for_recording() is grounder
    grounder.close()


def test_a_source_without_a_state_cannot_follow() -> None:
    frame = noise_clip(1).frames[0]
    source = BaseProposer()
    source.observe(frame)
    source.reconfigure(ProposalConfig())
    assert source.renewed() is source
    assert source.can_follow is False
    with pytest.raises(ProposalError, match="cannot follow"):
        source.follower(frame, np.zeros(4, np.float32))
