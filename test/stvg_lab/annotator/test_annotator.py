# SPDX-License-Identifier: Apache-2.0

"""Frames by number, the session between page and file, and the server, without a browser."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from damaged_recordings import bag as damaged_bag
from damaged_recordings import picture, raw, stamp

from stvg_lab.annotator import jpeg_frames
from stvg_lab.annotator.jpeg_frames import JpegFrames, open_recording
from stvg_lab.annotator.numbered_frames import FrameSequence
from stvg_lab.annotator.page_server import PAGE, AnnotationServer
from stvg_lab.annotator.session import Session
from stvg_lab.datasets.annotations import (
    Annotations,
    Entry,
    KeyFrame,
    read_annotations,
    write_annotations,
)
from stvg_ros.cli.main import main
from stvg_ros.errors import AnnotationError, ImageError, RecordingError
from stvg_ros.io.bag import write_bag
from stvg_ros.io.recording import read_frames
from stvg_ros.io.video import write_video
from stvg_ros.types import Frame

COUNT, STEP_NS, START_NS = 300, 100_000_000, 1_700_000_000_000_000_000


def striped(index: int) -> np.ndarray:
    """Eight stripes, the lower bits of the number, which lossy compression does not hurt."""
    bits = [255 * (index >> bit & 1) for bit in range(8)]
    return np.tile(np.repeat(np.array(bits, np.uint8), 8)[None, :, None], (48, 1, 3))


def number_of(image: np.ndarray) -> int:
    return sum(int(image[24, 8 * bit + 4, 1] > 127) << bit for bit in range(8))


def frames(count: int = COUNT) -> Iterator[Frame]:
    for index in range(count):
        yield Frame(START_NS + index * STEP_NS, striped(index), 64, 48)


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Closes the recordings that a test has opened."""
    with ExitStack() as stack:

        def opened(*arguments: Any) -> FrameSequence:
            return stack.enter_context(closing(jpeg_frames.open_recording(*arguments)))

        monkeypatch.setitem(globals(), "open_recording", opened)
        yield


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    write_video(path, map(striped, range(COUNT)), range(0, COUNT * STEP_NS, STEP_NS))
    return path


@pytest.fixture(params=["mcap", "sqlite3"])
def bag(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    write_bag(tmp_path / "bag", frames(12), storage=request.param)
    return tmp_path / "bag"


def test_video_frames_are_those_of_read_frames_in_any_order(video: Path) -> None:
    recording = open_recording(video)  # of more frames than the codec's key frames are apart
    assert recording.stamps_ns.tolist() == [frame.stamp_ns for frame in read_frames(video)]
    assert recording.size_px == (64, 48)
    for index in (270, 3, 4, 299, 0, 298, 249, 250):
        found = dict(recording.pictures(index))
        assert index in found
        assert len(found) <= 33
        assert {number: number_of(image) for number, image in found.items()} == {
            number: number % 256 for number in found
        }


def test_bag_frames_in_any_order(bag: Path) -> None:
    recording = open_recording(bag)
    assert recording.stamps_ns.tolist() == [frame.stamp_ns for frame in frames(12)]
    assert (recording.size_px, recording.topic, recording.notes) == ((64, 48), "/camera/image", ())
    for index in (11, 0, 5):
        ((number, image),) = recording.pictures(index)
        assert (number, number_of(image)) == (index, index)
    (file,) = (path for path in bag.iterdir() if path.suffix != ".yaml")
    assert open_recording(file).stamps_ns.tolist() == recording.stamps_ns.tolist()


def test_bag_with_unsorted_and_repeated_stamps(tmp_path: Path) -> None:
    order = [2, 0, 1, 1, 3]
    kept = list(frames(4))
    write_bag(tmp_path / "bag", [kept[index] for index in order])
    recording = open_recording(tmp_path / "bag")
    assert recording.stamps_ns.tolist() == [frame.stamp_ns for frame in kept]
    assert recording.notes == ("1 of 5 images have the stamp of an earlier one and are left out.",)
    assert [number_of(dict(recording.pictures(index))[index]) for index in range(4)] == [0, 1, 2, 3]


def test_repeated_stamps_after_a_jump_back_are_counted(tmp_path: Path) -> None:
    numbers = [*range(20), *range(5, 25)]  # a recording that was begun anew
    messages = [(at, raw(stamp(number), picture())) for at, number in enumerate(numbers)]
    recording = open_recording(damaged_bag(tmp_path / "bag", messages))
    assert recording.stamps_ns.tolist() == list(map(stamp, range(25)))
    repeated, jump = recording.notes
    assert repeated == "15 of 40 images have the stamp of an earlier one and are left out."
    assert jump == "The stamps jump back; the frames are in the order of their stamps."


def test_damaged_images_of_a_bag_are_named(tmp_path: Path, monkeypatch: Any) -> None:
    broken = iter([b"no JPEG"])

    def imencode(kind: str, image: np.ndarray, options: list[int]) -> tuple[bool, np.ndarray]:
        data = next(broken, None)
        if data is None:
            return original(kind, image, options)
        return True, np.frombuffer(data, np.uint8)

    original = cv2.imencode
    with monkeypatch.context() as change:
        change.setattr(cv2, "imencode", imencode)
        write_bag(tmp_path / "bag", frames(3), compressed=True)
    source = JpegFrames(lambda: open_recording(tmp_path / "bag"))
    assert source.recording.size_px == (64, 48)
    with pytest.raises(ImageError, match="do not decode"):
        source.jpeg(0)
    assert source.jpeg(1)
    source.close()


def test_what_is_no_recording(tmp_path: Path, video: Path) -> None:
    with pytest.raises(RecordingError, match="no such video file"):
        open_recording(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(RecordingError, match=r"text.mp4: cannot be decoded \("):
        open_recording(tmp_path / "text.mp4")
    with pytest.raises(RecordingError, match="is a video, which has no topic '/camera'"):
        open_recording(video, "/camera")


class Counted:
    """A recording that counts what is asked of it and cannot decode frame 5."""

    def __init__(self) -> None:
        self.stamps_ns = np.arange(10, dtype=np.int64)
        self.size_px, self.topic, self.notes = (64, 48), "", ()
        self.asked: list[int] = []
        self.threads: set[int] = set()

    def pictures(self, index: int) -> Iterator[tuple[int, np.ndarray]]:
        self.asked.append(index)
        self.threads.add(threading.get_ident())
        if index != 5:
            yield index, striped(index)

    def close(self) -> None:
        pass


def test_jpeg_frames_keep_a_bounded_number_and_read_on_one_thread() -> None:
    recording = Counted()
    source = JpegFrames(lambda: recording, max_bytes=2000)
    size = len(source.jpeg(0))
    assert 500 < size < 1000  # so two or three are kept
    threads = [threading.Thread(target=source.jpeg, args=(index,)) for index in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert source.kept_bytes <= 2000
    assert len(recording.threads) == 1
    assert threading.get_ident() not in recording.threads
    source.jpeg(4)
    source.jpeg(4)
    assert recording.asked.count(4) == 1
    image = cv2.imdecode(np.frombuffer(source.jpeg(4), np.uint8), cv2.IMREAD_COLOR)
    assert number_of(image) == 4
    with pytest.raises(RecordingError, match="frame 5 cannot be decoded"):
        source.jpeg(5)
    with pytest.raises(RecordingError, match="expected a number from 0 to 9"):
        source.jpeg(10)
    source.close()


# --- between page and file ----------------------------------------------------------------------

PERSON = {
    "id": "q1", "text": " the person \n who waves ", "absent": False, "begin": 2, "end": 8,
    "person": "", "boxes": {"8": [20, 10, 30, 40], "2": [10, 10, 20, 40]},
}  # fmt: skip
ABSENT = {"id": "q2", "text": "the dog", "absent": True, "begin": None, "end": None,
          "person": "", "boxes": {}}  # fmt: skip
WALKER = {"id": "p1", "name": " a  walker ", "boxes": {"3": [1, 1, 9, 9], "6": [4, 1, 12, 9]}}
HIS = {**PERSON, "person": "p1", "boxes": {}}


def session(bag: Path, out: Path) -> Session:
    return Session(open_recording(bag), bag, out)


def test_save_and_load(bag: Path, tmp_path: Path) -> None:
    first = session(bag, tmp_path / "run.json")
    assert first.recording_json()["exists"] is False
    assert first.recording_json()["times_s"][:3] == [0.0, 0.1, 0.2]
    first.save({"queries": [PERSON, ABSENT]})
    found = read_annotations(tmp_path / "run.json")
    assert (found.recording, found.topic, found.size_px) == ("bag", "/camera/image", (64, 48))
    person, dog = found.entries
    assert (person.query, dog.query, dog.span_ns) == ("the person who waves", "the dog", None)
    assert person.span_ns == (START_NS + 2 * STEP_NS, START_NS + 8 * STEP_NS)
    assert person.key_frames[0] == KeyFrame(START_NS + 2 * STEP_NS, (10, 10, 20, 40))
    again = session(bag, tmp_path / "run.json").recording_json()
    assert again["exists"] is True
    assert again["queries"] == [{**PERSON, "text": "the person who waves"}, ABSENT]
    assert list(again["queries"][0]) == list(PERSON)  # the page compares them as text


def test_what_the_page_does_not_show_is_kept(bag: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    session(bag, out).save({"queries": [PERSON]})
    found = read_annotations(out)
    entry = replace(found.entries[0], command_ns=START_NS + STEP_NS)
    write_annotations(out, replace(found, entries=(entry,)))
    session(bag, out).save({"queries": [{**PERSON, "end": 9}]})
    assert read_annotations(out).entries[0].command_ns == START_NS + STEP_NS


def test_fields_of_other_programs_are_kept(bag: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    session(bag, out).save({"queries": [PERSON, ABSENT]})
    values = json.loads(out.read_text())
    values["note"] = "kept by hand"
    values["entries"][0]["reviewer"] = "anna"
    out.write_text(json.dumps(values))
    here = session(bag, out)
    here.save({"queries": [{**PERSON, "text": "the woman"}], "kept": [ABSENT["id"]]})
    saved = json.loads(out.read_text())
    assert saved["note"] == "kept by hand"
    assert [entry.get("reviewer") for entry in saved["entries"]] == ["anna", None]
    assert saved["entries"][0]["query"] == "the woman"


def test_people_are_saved_loaded_and_renamed(bag: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    here = session(bag, out)
    here.save({"queries": [HIS, ABSENT], "people": [WALKER]})
    found = read_annotations(out)
    keys = [(START_NS + 3 * STEP_NS, (1, 1, 9, 9)), (START_NS + 6 * STEP_NS, (4, 1, 12, 9))]
    assert found.tracks == {"a walker": tuple(KeyFrame(*key) for key in keys)}
    assert (found.entries[0].person, found.entries[0].key_frames) == ("a walker", ())
    again = session(bag, out).recording_json()
    assert again["people"] == [{**WALKER, "id": "a walker", "name": "a walker"}]
    assert again["queries"][0]["person"] == "a walker"
    # The page goes on with its own ids; a query whose edit is incomplete follows the new name.
    renamed = {**WALKER, "name": "the runner"}
    here.save({"queries": [ABSENT], "kept": ["q1"], "people": [renamed]})
    assert read_annotations(out).entries[0].person == "the runner"
    # An incomplete person stays, and without people in the message all do.
    here.save({"queries": [HIS, ABSENT], "people": [], "kept_people": ["p1", "unknown"]})
    here.save({"queries": [HIS, ABSENT]})
    assert list(read_annotations(out).tracks) == ["the runner"]
    # A person that the page no longer has is deleted.
    here.save({"queries": [PERSON], "people": []})
    assert read_annotations(out).tracks == {}


@pytest.mark.parametrize(
    ("people", "said"),
    [
        ([WALKER, {**WALKER, "id": "p2"}], "two people have the name 'a walker'"),
        ([{**WALKER, "boxes": {}}], "tracks .a walker.: expected at least one box"),
        ([{"id": "p1"}], "a person from the page is incomplete"),
        ([{**WALKER, "boxes": {"99999": [1, 1, 9, 9]}}], "no frame 99999"),
        ([], "a name of tracks"),
        ([{**WALKER, "boxes": {"9": [1, 1, 9, 9]}}], "a person with a box in the span"),
    ],
)
def test_wrong_people_change_nothing(bag: Path, tmp_path: Path, people: Any, said: str) -> None:
    out = tmp_path / "run.json"
    here = session(bag, out)
    here.save({"queries": [HIS], "people": [WALKER]})
    before = out.read_bytes()
    with pytest.raises(AnnotationError, match=said):
        here.save({"queries": [HIS], "people": people})
    assert out.read_bytes() == before


def test_key_frames_between_frames_are_told(bag: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    span = (START_NS + STEP_NS, START_NS + 4 * STEP_NS)
    key = KeyFrame(START_NS + 2 * STEP_NS + 9, (1, 1, 20, 20))
    write_annotations(out, Annotations((Entry("a", "the cat", span, (key,)),)))
    values = session(bag, out).recording_json()
    assert list(values["queries"][0]["boxes"]) == ["2"]
    assert values["notes"] == [
        "1 key frames of run.json are not at a frame; they show at the nearest one, and saving "
        "moves them there."
    ]


def saved_by_a_second_tab(here: Session, out: Path) -> None:
    here.save({"queries": [ABSENT], "version": here.recording_json()["version"]})


def saved_by_a_second_server(here: Session, out: Path) -> None:
    other = Session(here._recording, here._source, out)
    other.save({"queries": [ABSENT], "version": other.recording_json()["version"]})


def edited(here: Session, out: Path) -> None:
    out.write_text(out.read_text().replace("the person", "the woman"))


def edited_in_place(here: Session, out: Path) -> None:
    """Of equal length and with its old time."""
    times = out.stat()
    out.write_text(out.read_text().replace("person", "porson"))
    os.utime(out, ns=(times.st_atime_ns, times.st_mtime_ns))


def replaced(here: Session, out: Path) -> None:
    new = out.with_name("new")
    new.write_text(out.read_text() + "\n")
    new.replace(out)


def damaged(here: Session, out: Path) -> None:
    out.write_text("{")


def emptied(here: Session, out: Path) -> None:
    out.write_text("")


def removed(here: Session, out: Path) -> None:
    out.unlink()


@pytest.mark.parametrize(
    "meanwhile",
    [
        saved_by_a_second_tab, saved_by_a_second_server, edited, edited_in_place, replaced,
        damaged, emptied, removed,
    ],
)  # fmt: skip
def test_what_others_saved_in_the_meantime_is_not_overwritten(
    bag: Path, tmp_path: Path, meanwhile: Any
) -> None:
    out = tmp_path / "run.json"
    here = session(bag, out)
    here.save({"queries": [PERSON]})
    version = here.recording_json()["version"]
    meanwhile(here, out)
    before = out.read_bytes() if out.exists() else None
    mine = {"queries": [{**PERSON, "text": "mine"}], "version": version}
    with pytest.raises(AnnotationError, match=r"run\.json was saved by somebody else"):
        here.save(mine)
    assert (out.read_bytes() if out.exists() else None) == before
    if meanwhile in (damaged, emptied):
        with pytest.raises(AnnotationError, match="cannot be read as an annotation file"):
            here.recording_json()
        return
    # The page is loaded again, and sees what there is.
    again = here.recording_json()
    assert again["version"] != version
    here.save(
        {"queries": again["queries"] + [{**ABSENT, "id": "mine"}], "version": again["version"]}
    )
    assert len(read_annotations(out).entries) == len(again["queries"]) + 1


def test_of_two_pages_without_versions_the_second_does_not_overwrite(
    bag: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run.json"
    here = session(bag, out)
    pages = [here.recording_json()["queries"] for _ in range(2)]
    here.save({"queries": [*pages[0], {**ABSENT, "text": "the first page's"}]})
    with pytest.raises(AnnotationError, match=r"run\.json was saved by somebody else"):
        here.save({"queries": [*pages[1], {**ABSENT, "text": "the second page's"}]})
    assert [entry.query for entry in read_annotations(out).entries] == ["the first page's"]
    queries = here.recording_json()["queries"]
    here.save({"queries": [*queries, {**ABSENT, "id": "new"}]})
    assert len(read_annotations(out).entries) == 2


def test_a_first_save_does_not_replace_a_file_that_has_appeared(bag: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    here = session(bag, out)
    version = here.recording_json()["version"]
    out.write_text("by hand")
    with pytest.raises(AnnotationError, match="somebody else"):
        here.save({"queries": [PERSON], "version": version})
    assert out.read_text() == "by hand"


def test_a_link_stays_and_its_file_is_written(bag: Path, tmp_path: Path) -> None:
    (tmp_path / "real.json").symlink_to(tmp_path / "deep.json")
    session(bag, tmp_path / "real.json").save({"queries": [PERSON]})
    assert (tmp_path / "real.json").is_symlink()
    assert len(read_annotations(tmp_path / "deep.json").entries) == 1


def test_a_query_whose_change_is_not_complete_stays_as_it_was(bag: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    here = session(bag, out)
    here.save({"queries": [PERSON, ABSENT]})
    new = {**ABSENT, "id": "new", "text": "a cat"}
    here.save({"queries": [{**ABSENT, "text": "a cow"}, new], "kept": [PERSON["id"], "unknown"]})
    entries = read_annotations(out).entries
    assert [entry.query for entry in entries] == ["the person who waves", "a cow", "a cat"]
    here.save({"queries": [new]})  # what the page no longer has is deleted
    assert [entry.query for entry in read_annotations(out).entries] == ["a cat"]
    with pytest.raises(AnnotationError, match="one id"):
        here.save({"queries": [new, new]})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"begin": None}, "a query from the page is incomplete"),
        ({"begin": 9}, "an end that is not before the start"),
        ({"boxes": {}}, "at least one box in the span"),
        ({"boxes": {"1": [1, 1, 9, 9]}}, "a stamp in the span"),
        ({"boxes": {"3": [9, 9, 1, 1]}}, "x1 < x2"),
        ({"boxes": {"99": [1, 1, 9, 9]}}, "no frame 99"),
        ({"text": ""}, "a sentence of at most"),
        ({"begin": float("inf")}, "a query from the page is incomplete"),
        ({"end": float("nan")}, "a query from the page is incomplete"),
        ({"end": 10**400}, "no frame 1000"),
        ({"boxes": {"9" * 5000: [1, 1, 9, 9]}}, "a query from the page is incomplete"),
        ({"boxes": {"3": [1, 1, 10**400, 9]}}, "a query from the page is incomplete"),
        ({"boxes": {"3": [float("-inf"), 1, 9, 9]}}, "x1 < x2"),
    ],
)
def test_a_wrong_query_changes_nothing(
    bag: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    out = tmp_path / "run.json"
    here = session(bag, out)
    here.save({"queries": [ABSENT]})
    before = out.read_bytes()
    with pytest.raises(AnnotationError, match=said):
        here.save({"queries": [ABSENT, {**PERSON, **change}]})
    assert out.read_bytes() == before
    with pytest.raises(AnnotationError, match="a list 'queries'"):
        here.save([])


def test_a_file_about_another_recording_is_refused(bag: Path, video: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    session(bag, out).save({"queries": [PERSON]})
    with pytest.raises(AnnotationError, match="about another recording; choose another --out"):
        session(video, out)
    write_annotations(out, Annotations((), size_px=(640, 480)))
    with pytest.raises(AnnotationError, match=r"images of \(640, 480\)"):
        session(bag, out)


# --- the server ---------------------------------------------------------------------------------


@pytest.fixture
def server(video: Path, tmp_path: Path) -> Iterator[AnnotationServer]:
    source = JpegFrames(lambda: open_recording(video))
    out = tmp_path / "run.json"
    with AnnotationServer(source, Session(source.recording, video, out)) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield running
        running.shutdown()
        thread.join()
    source.close()


def ask(
    server: AnnotationServer, path: str, *, body: bytes | None = None, **headers: str
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("GET" if body is None else "POST", path, body, names)
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


def test_the_server_is_bound_to_this_machine(server: AnnotationServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert len(server.token) >= 32


def test_pages_frames_and_saving(server: AnnotationServer, tmp_path: Path) -> None:
    home = f"/{server.token}/"
    status, page = ask(server, home)
    assert status == 200
    assert page == (PAGE / "index.html").read_bytes()
    for name in ("annotate.css", "annotate.js", "model.js", "line.js", "player.js"):
        assert ask(server, home + name) == (200, (PAGE / name).read_bytes())
    status, data = ask(server, home + "frames/70.jpg")
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert (status, number_of(image)) == (200, 70)
    body = json.dumps({"queries": [PERSON]}).encode()
    origin = server.address.split("/" + server.token)[0]
    status, _ = ask(
        server, home + "save", body=body, Content_Type="application/json", Origin=origin
    )
    assert status == 200
    assert len(read_annotations(tmp_path / "run.json").entries) == 1


@pytest.mark.parametrize("name", ["frames/300.jpg", "frames/-1.jpg", "../server.py", "index.html/"])
def test_what_is_not_there(server: AnnotationServer, name: str) -> None:
    status, data = ask(server, f"/{server.token}/{name}")
    assert status in (404, 422)
    assert json.loads(data)["error"]


def test_who_is_refused(server: AnnotationServer, tmp_path: Path) -> None:
    home = f"/{server.token}/"
    assert ask(server, "/")[0] == 403
    assert ask(server, f"/{server.token[:-1]}x/recording")[0] == 403
    assert ask(server, home + "recording", Host="evil.example")[0] == 403
    assert ask(server, home + "recording", Origin="http://evil.example")[0] == 403
    body = json.dumps({"queries": []}).encode()
    other = {"Content_Type": "application/json", "Origin": "http://evil.example"}
    assert ask(server, home + "save", body=body, **other)[0] == 403
    assert ask(server, home + "save", body=body, Content_Type="text/plain")[0] == 415
    assert not (tmp_path / "run.json").exists()


def test_damaged_requests_to_save(server: AnnotationServer) -> None:
    path, kind = f"/{server.token}/save", {"Content_Type": "application/json"}
    assert ask(server, path, body=b"{", **kind)[0] == 400
    assert ask(server, path, body=b"", Content_Length=str(10**9), **kind)[0] == 413
    status, data = ask(server, path, body=b'{"queries": [{}]}', **kind)
    assert status == 422
    assert "incomplete" in json.loads(data)["error"]


QUERY = '{"queries": [{"id": "a", "text": "%s", "absent": %s, "begin": %s, "end": 2, "boxes": {}}]}'

# Python 3.14 reads JSON as deep as its stack allows; then the content is refused.
DEEP = 400 if sys.version_info < (3, 14) else 422


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (QUERY % ("x", "false", "1e999"), 422),
        (QUERY % ("x", "false", "NaN"), 422),
        (QUERY % ("x", "false", "-1"), 422),
        (QUERY % ("x", "false", '"one"'), 422),
        (QUERY % ("\\ud800", "true", "1"), 400),
        ('{"queries": [{"\\udfff": 1}]}', 400),
        ("[" * 100_000, 400),
        ('{"queries":' * 20_000, 400),
        # Python 3.14 reads as deep as its stack allows.
        (
            '{"queries": ' + "[" * 5000 + "]" * 5000 + "}",
            400 if sys.version_info < (3, 14) else 422,
        ),
        ("9" * 5000, 400),
        ("null", 422),
        ('"queries"', 422),
        ('{"queries": {}}', 422),
        ('{"queries": [], "version": []}', 422),
        ('{"queries": [], "people": 3}', 422),
        ('{"queries": [], "people": [], "kept_people": 3}', 422),
        ('{"queries": [], "kept": [[]]}', 200),
    ],
)
def test_odd_requests_to_save_are_answered(
    server: AnnotationServer, tmp_path: Path, body: str, status: int
) -> None:
    path, kind = f"/{server.token}/save", {"Content_Type": "application/json"}
    found, data = ask(server, path, body=body.encode(), **kind)
    assert (found, "error" in json.loads(data)) == (status, status != 200)
    assert (tmp_path / "run.json").exists() == (status == 200)


@pytest.mark.parametrize("host", ["[", "[::1", "a]b", "127.0.0.1:x", "", "\xe9", "localhost:1:2"])
@pytest.mark.parametrize("field", ["Host", "Origin"])
def test_odd_headers_and_paths_are_answered(
    server: AnnotationServer, field: str, host: str
) -> None:
    value = host if field == "Host" else f"http://{host}"
    allowed = field == "Host" and host in ("127.0.0.1:x", "localhost:1:2")
    status, _ = ask(server, f"/{server.token}/recording", **{field: value})
    assert status == (200 if allowed else 403)


@pytest.mark.parametrize(
    "path", ["//[", "/[/recording", "//[/recording", "*", "http://[/", "/{token}/[", "/{token}//["]
)
def test_odd_paths_are_answered(server: AnnotationServer, path: str) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=30) as connection:
        head = f"GET {path.replace('{token}', server.token)} HTTP/1.0\r\nHost: localhost\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(4096).split()[1] in (b"403", b"404")


def test_a_browser_that_leaves_is_no_news(
    server: AnnotationServer, capsys: pytest.CaptureFixture[str]
) -> None:
    for error, lines in ((BrokenPipeError(), 0), (ConnectionResetError(), 0), (ValueError(), 1)):
        try:
            raise error
        except Exception:
            server.handle_error(None, ("127.0.0.1", 1))
        assert ("Traceback" in capsys.readouterr().err) == bool(lines)


def test_a_port_in_use_is_named(server: AnnotationServer) -> None:
    with pytest.raises(RecordingError, match=f"port {server.server_port}: cannot be used"):
        AnnotationServer(server.frames, server.session, server.server_port)


def test_the_command_serves_until_it_is_interrupted(video: Path, tmp_path: Path) -> None:
    arguments = ["annotate", str(video), "--out", str(tmp_path / "run.json")]
    command = [sys.executable, "-m", "stvg_ros.cli.main", *arguments]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == f"300 frames of {video}\n"
        address = process.stdout.readline().removeprefix("Annotate at ").strip()
        with urllib.request.urlopen(address + "recording", timeout=60) as answer:
            assert json.load(answer)["name"] == "clip.mp4"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


def test_an_impossible_file_is_said_at_once(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["annotate", str(video), "--out", str(tmp_path / "none" / "run.json")]) == 1
    assert "its folder does not exist" in capsys.readouterr().err


def test_installed_with_the_package() -> None:
    assert {path.suffix for path in PAGE.iterdir()} == {".html", ".css", ".js"}
    for path in PAGE.iterdir():
        text = path.read_text(encoding="utf-8")
        outside = text.replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in outside
        assert "https:" not in outside
