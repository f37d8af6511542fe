# SPDX-License-Identifier: Apache-2.0

"""A second reading of who does what in a hard scene, for tests of its sentences."""

from __future__ import annotations

from stvg_lab.rendered.hard.actor import STANDING, WALKS, Actor
from stvg_lab.rendered.hard.claims import Claim
from stvg_lab.rendered.hard.hard_scene import HardScene


def frames_of(scene: HardScene, actor: Actor, claim: Claim) -> list[int]:
    """Frames in which colour, garment, bag, thing and doing of a claim are true of somebody."""
    if claim.colour not in ("", actor.colour) or claim.garment not in ("", actor.garment):
        return []
    if claim.bag and claim.bag != actor.look.bag:
        return []
    index = scene.people.index(actor)
    own = [thing for thing in scene.things if thing.holder == index]
    if claim.thing_colour and claim.thing_colour not in [thing.colour for thing in own]:
        return []
    found = []
    for frame in range(scene.frame_count):
        now = actor.doing_at(frame)
        walks = now is not None and now.name in WALKS
        if claim.holds and actor.holding(frame) != claim.holds:
            continue
        if claim.doing in ("enter", "leave", "carry"):
            fits = walks
            if now is not None and claim.doing != "carry":
                place = now.start_frame if claim.doing == "enter" else now.end_frame
                fits &= not 0 <= actor.x_at(place) <= scene.width
        elif claim.doing == STANDING:
            active = now is not None and now.name in (*WALKS, "jump", "pick up", "put down")
            fits = actor.pose_name(frame) == STANDING and not active
        elif claim.doing in ("sitting", "lying", "kneeling"):
            fits = actor.pose_name(frame) == claim.doing
        else:
            fits = not claim.doing or (now is not None and now.name == claim.doing)
        if fits and scene.visible[index, frame]:
            found.append(frame)
    return found
