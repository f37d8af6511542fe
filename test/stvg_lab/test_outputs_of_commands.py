# SPDX-License-Identifier: Apache-2.0

"""Every command that writes names what is in its way before it works, and leaves it alone."""

from pathlib import Path

import pytest
from recordings import square_frame

from stvg_ros.cli.main import main
from stvg_ros.io.video import write_video

# The arguments, with OUT for where the command writes; and what is there already.
COMMANDS = [
    ("compare a b --json OUT/a.json", "a.json"),
    ("ablate --count 1 --json OUT/a.json", "a.json"),
    ("demo --out OUT", "bag"),
    ("demo --out OUT", "tube.json"),
    ("demo --out OUT", "node.log"),
    ("demo --out OUT", "client.log"),
    ("demo --out OUT", "contact_sheet.png"),
    ("demo --out OUT", "annotated.mp4"),
    ("bench --scaling --out OUT", "scaling.png"),
    ("ground VIDEO person --out OUT", "tube.json"),
    ("ground VIDEO person --out OUT --sheet", "contact_sheet.png"),
    ("ground VIDEO person --out OUT --video", "annotated.mp4"),
    ("tubes VIDEO --out OUT/tubes.png", "tubes.png"),
]


@pytest.mark.parametrize(("command", "name"), COMMANDS)
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_it_is_named_and_stays(
    tmp_path: Path, command: str, name: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if command.startswith("demo"):
        pytest.importorskip("rclpy", reason="rclpy is missing: run `make test` or source a ROS 2")
    out = tmp_path / "out"
    out.mkdir()
    frames = [square_frame(number) for number in range(3)]
    video = tmp_path / "a.mp4"
    write_video(video, [f.image for f in frames], [f.stamp_ns for f in frames])
    mine = out / name
    if kind == "folder":
        mine.mkdir()
        mine = mine / "metadata.yaml"
    if kind == "link":
        mine.symlink_to(tmp_path / "real")
        mine = tmp_path / "real"
    mine.write_text("by hand")
    words = command.replace("OUT", str(out)).replace("VIDEO", str(video)).split()
    assert main(words) == 2
    said = capsys.readouterr().err
    assert f"not written by stvg-ros {words[0]}" in said and name in said
    assert mine.read_text() == "by hand"
    assert [item.name for item in out.iterdir()] == [name]
