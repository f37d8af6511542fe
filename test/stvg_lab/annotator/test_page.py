# SPDX-License-Identifier: Apache-2.0

"""The annotation page in a real browser: what a user does, and what the file then says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import PATIENCE_S, chromium, console_errors, resize

from stvg_lab.annotator.jpeg_frames import JpegFrames, open_recording
from stvg_lab.annotator.numbered_frames import FrameSequence, NumberedFrames
from stvg_lab.annotator.page_server import AnnotationServer
from stvg_lab.annotator.session import Session
from stvg_lab.datasets.annotations import read_annotations, true_tube
from stvg_lab.datasets.samples import annotated_samples
from stvg_ros.errors import RecordingError
from stvg_ros.io.bag import write_bag
from stvg_ros.types import Frame

START_NS, STEP_NS, COUNT = 1_700_000_000_000_000_000, 100_000_000, 41
SIZE = (320, 240)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A light square that walks to the right."""

    def frames() -> Iterator[Frame]:
        for index in range(COUNT):
            image = np.full((SIZE[1], SIZE[0], 3), 60, np.uint8)
            image[80:200, 20 + 5 * index : 60 + 5 * index] = 230
            # Uneven in time, so that linear in frames and linear in time differ.
            yield Frame(START_NS + index * STEP_NS + (index > 20) * 30_000_000, image, *SIZE)

    path = tmp_path_factory.mktemp("bag") / "run1"
    write_bag(path, frames(), compressed=True)
    return path


@contextmanager
def served(
    bag: Path, out: Path, opened: Callable[[Path], FrameSequence] = open_recording
) -> Iterator[AnnotationServer]:
    source = JpegFrames(lambda: opened(bag))
    with AnnotationServer(source, Session(source.recording, bag, out)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            source.close()


class Page:
    """The page as a user sees it."""

    def __init__(self, driver: Any, address: str) -> None:
        self.driver = driver
        resize(driver, 1280, 800)
        driver.get(address)
        self.until(lambda: self.find("#frame").get_attribute("data-frame") == "0")

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def until(self, condition: Callable[[], bool]) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end_s, f"not in {PATIENCE_S} s: {self.find('body').text}"
            time.sleep(0.05)

    def press(self, *keys: str) -> None:
        """Presses keys, the ones before the last held down."""
        from selenium.webdriver import ActionChains

        actions = ActionChains(self.driver)
        for key in keys[:-1]:
            actions.key_down(key)
        actions.send_keys(keys[-1])
        for key in keys[:-1]:
            actions.key_up(key)
        actions.perform()

    def drag(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """Drags the mouse from one place of the image to another, both in its pixels."""
        from selenium.webdriver import ActionChains

        overlay = self.find("#overlay")
        scale = overlay.rect["width"] / SIZE[0]

        def offset(x: float, y: float) -> tuple[int, int]:
            return round((x - SIZE[0] / 2) * scale), round((y - SIZE[1] / 2) * scale)

        actions = ActionChains(self.driver, duration=20)
        actions.move_to_element_with_offset(overlay, *offset(x1, y1)).click_and_hold()
        actions.move_to_element_with_offset(overlay, *offset((x1 + x2) / 2, (y1 + y2) / 2))
        actions.move_to_element_with_offset(overlay, *offset(x2, y2)).release().perform()

    def box(self) -> list[float]:
        """The box that is drawn, in the image's pixels."""
        x, y, w, h = (
            float(self.find(".mine").get_attribute(k)) for k in ("x", "y", "width", "height")
        )
        return [x, y, x + w, y + h]

    def go(self, frame: int) -> None:
        """To a frame, with the keys."""
        from selenium.webdriver.common.keys import Keys

        self.press(Keys.HOME)
        for _ in range(frame // 10):
            self.press(Keys.SHIFT, Keys.ARROW_RIGHT)
        for _ in range(frame % 10):
            self.press(Keys.ARROW_RIGHT)
        self.until(lambda: self.find("#frame").get_attribute("data-frame") == str(frame))

    def type(self, text: str) -> None:
        from selenium.webdriver.common.keys import Keys

        self.find("#text").send_keys(text, Keys.ESCAPE)

    @property
    def state(self) -> str:
        return str(self.find("#state").text)

    @property
    def message(self) -> str:
        return str(self.find("#message").text)

    def save(self) -> None:
        self.find("#save").click()
        self.until(lambda: self.find("#save").is_enabled())


def test_mark_save_and_open_again(driver: Any, bag: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    with served(bag, out) as server:
        page = Page(driver, server.address)
        assert page.state == "Saves to run.json"
        page.type("the square that walks")
        assert page.state == "Not saved"
        page.go(4)
        page.press("i")
        page.drag(40, 80, 80, 200)
        assert page.box() == pytest.approx([40, 80, 80, 200], abs=1)
        page.go(34)
        page.drag(200, 82, 240, 190)  # outside the held box: a new one
        page.find("#end").click()
        page.go(22)
        assert "between" in page.find(".mine").get_attribute("class")
        between = page.box()
        page.save()
        assert page.state == "Saved in run.json"
        assert page.message == ""
    (entry,) = read_annotations(out).entries
    stamps_ns = server.frames.recording.stamps_ns
    assert entry.query == "the square that walks"
    assert entry.span_ns == (stamps_ns[4], stamps_ns[34])
    assert [key.stamp_ns for key in entry.key_frames] == [stamps_ns[4], stamps_ns[34]]
    assert entry.key_frames[1].box_xyxy_px == pytest.approx((200, 82, 240, 190), abs=1)
    truth = true_tube(entry, stamps_ns)
    np.testing.assert_allclose(between, truth.boxes_xyxy_px[22], atol=0.01)
    assert truth.span.sum() == 31
    (sample,) = annotated_samples(out)  # as the evaluation takes it
    assert Path(sample.source.path) == bag.resolve()

    with served(bag, out) as server:
        page = Page(driver, server.address)
        assert page.state == "Saved in run.json"
        (item,) = page.all("#queries button")
        assert "the square that walks" in item.text
        assert "2 key frames" in item.text
        page.press("]")
        page.until(lambda: page.find("#frame").get_attribute("data-frame") == "4")
        assert page.box() == pytest.approx(entry.key_frames[0].box_xyxy_px, abs=0.05)
        # A corner and the box itself can be dragged.
        page.drag(80, 200, 90, 210)
        page.drag(60, 140, 70, 140)
        assert page.box() == pytest.approx([50, 80, 100, 210], abs=1.5)
        page.find("#add").click()
        page.type("the dog")
        page.save()
        assert page.message == (
            "Not saved. “the dog” is incomplete: Set the frame where the span begins (I)."
        )
        page.find("#absent").click()
        page.save()
        assert page.message == ""
    first, second = read_annotations(out).entries
    assert first.key_frames[0].box_xyxy_px == pytest.approx((50, 80, 100, 210), abs=1.5)
    assert (second.query, second.span_ns) == ("the dog", None)
    assert console_errors(driver) == []


def test_people_whose_boxes_queries_share(driver: Any, bag: Path, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.select import Select

    out = tmp_path / "people.json"
    with served(bag, out) as server:
        page = Page(driver, server.address)
        assert not page.find("#person-row").is_displayed()
        page.find("#add-person").click()
        page.type("walker")
        page.save()
        assert "“walker” is incomplete: Draw a box on at least one frame." in page.message
        assert not page.find("#span-row").is_displayed()
        for frame, box in ((4, (40, 80, 80, 200)), (24, (140, 80, 180, 200))):
            page.go(frame)
            page.drag(*box)
        page.go(30)
        assert page.all(".box") == []  # absent after the last key frame
        page.go(14)
        between = page.box()
        page.press("p")
        page.press("stander")
        page.press(Keys.ESCAPE)
        page.press("b")
        page.find("#queries button").click()
        page.type("the one who walks")
        page.press("i")
        page.go(20)
        page.press("o")
        assert len(page.all(".box.other")) == 1  # the walker; the other was in frame 14
        Select(page.find("#person")).select_by_visible_text("walker")
        page.press(Keys.ESCAPE)
        page.go(14)
        assert page.box() == between
        assert [item.text for item in page.all(".name")] == ["stander"]
        # The boxes of a person are changed where the person is.
        page.press("k")
        page.drag(10, 10, 30, 30)
        assert "choose “walker” below People" in page.message
        assert page.all(".handle") == []
        page.save()
        assert (page.state, page.message) == ("Saved in people.json", "")
    found = read_annotations(out)
    stamps_ns = server.frames.recording.stamps_ns
    assert list(found.tracks) == ["walker", "stander"]
    assert [key.stamp_ns for key in found.tracks["walker"]] == [stamps_ns[4], stamps_ns[24]]
    (entry,) = found.entries
    assert (entry.person, entry.key_frames) == ("walker", ())
    truth = true_tube(entry, stamps_ns, found.tracks)
    np.testing.assert_allclose(between, truth.boxes_xyxy_px[14], atol=0.01)

    with served(bag, out) as server:
        page = Page(driver, server.address)
        assert page.state == "Saved in people.json"
        walker = page.find("#people button")
        assert "2 key frames" in walker.text
        assert "walker" in page.find("#queries small").text
        page.press(Keys.ARROW_DOWN)  # to the first person
        page.press("]")
        page.until(lambda: page.find("#frame").get_attribute("data-frame") == "4")
        page.press(Keys.ALT, Keys.ARROW_RIGHT)
        page.find("#text").clear()
        page.type("runner")
        page.save()
        assert (page.state, page.message) == ("Saved in people.json", "")
        # Without the person, the query says what it lacks.
        page.find("#drop").click()
        page.save()
        assert "is incomplete: Choose whose boxes these are." in page.message
        page.press(Keys.ESCAPE)
    found = read_annotations(out)
    assert list(found.tracks) == ["runner", "stander"]
    assert found.entries[0].person == "runner"
    assert found.tracks["runner"][0].box_xyxy_px[0] == pytest.approx(between[0] - 49, abs=1.5)
    console_errors(driver)


def test_without_a_mouse(driver: Any, bag: Path, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    out = tmp_path / "keys.json"
    with served(bag, out) as server:
        page = Page(driver, server.address)
        page.press("q")
        page.press("a thing?")  # no commands while typing
        page.press(Keys.ESCAPE)
        assert page.all("dialog[open]") == []
        page.press("i")
        page.press("b")
        assert page.box() == [128, 72, 192, 168]
        page.press(Keys.ALT, Keys.ARROW_RIGHT)
        page.press(Keys.ALT, Keys.SHIFT, Keys.ARROW_DOWN)
        assert page.box() == [129, 72, 193, 169]
        page.press(Keys.END)
        page.press("k")
        page.press("o")
        assert len(page.all(".key")) == 2
        page.press(Keys.DELETE)
        assert len(page.all(".key")) == 1
        page.press(Keys.CONTROL, "z")
        assert len(page.all(".key")) == 2
        page.press(Keys.CONTROL, "y")
        assert len(page.all(".key")) == 1
        page.press("?")
        assert page.all("dialog[open]")
        page.find("#help button").click()
        assert page.all("dialog[open]") == []
        page.press("n")
        page.press(Keys.ESCAPE)
        assert [item.get_attribute("aria-current") for item in page.all("#queries button")] == [
            "false", "true",
        ]  # fmt: skip
        page.press(Keys.ARROW_UP)
        page.press(Keys.HOME)
        page.press(" ")
        page.until(lambda: page.find("#play").get_attribute("aria-label") == "Play")
        assert page.find("#line").get_attribute("aria-valuenow") == str(COUNT - 1)
        page.press(Keys.CONTROL, "s")
        page.until(lambda: page.state == "Saved in keys.json")
    (entry,) = read_annotations(out).entries  # the empty query is not one
    assert entry.query == "a thing?"
    assert entry.key_frames[0].box_xyxy_px == (129, 72, 193, 169)
    assert console_errors(driver) == []


def test_what_goes_wrong_is_said(driver: Any, bag: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with served(bag, tmp_path / "file" / "run.json") as server:
        page = Page(driver, server.address)
        page.type("the square")
        page.find("#absent").click()
        page.save()
        assert page.message.startswith("Not saved. ")
        assert "cannot be written" in page.message
        console_errors(driver)  # the browser reports the refusal itself
    page.press("b")
    page.save()
    page.until(lambda: "is incomplete" in page.message)
    page.find("#absent").click()
    page.save()
    page.until(lambda: "is `stvg-ros annotate` still running?" in page.message)
    console_errors(driver)
    # The page asks before it discards unsaved changes.
    leave = "const e = new Event('beforeunload', {cancelable: true}); dispatchEvent(e);"
    assert driver.execute_script(leave + "return e.defaultPrevented")


class Damaged(NumberedFrames):
    """A bag whose frame 1 does not decode."""

    def pictures(self, index: int) -> Iterator[tuple[int, np.ndarray]]:
        if index == 1:
            raise RecordingError("frame 1 is damaged")
        return super().pictures(index)


def test_a_damaged_frame_is_said_and_passed(driver: Any, bag: Path, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    with served(bag, tmp_path / "run.json", lambda path: Damaged(path, None)) as server:
        page = Page(driver, server.address)
        page.press(Keys.ARROW_RIGHT)
        page.until(lambda: page.message == "frame 1 is damaged")
        page.press(Keys.ARROW_RIGHT)
        page.until(lambda: page.message == "")
        console_errors(driver)  # the browser reports the refusal itself


def test_on_a_phone(driver: Any, bag: Path, tmp_path: Path) -> None:
    with served(bag, tmp_path / "run.json") as server:
        page = Page(driver, server.address)
        resize(driver, 390, 844)
        # A canvas is 300 pixels wide before its image is there.
        page.until(lambda: 300 < page.find("#overlay").rect["width"] < 390)
        assert driver.execute_script("return document.documentElement.scrollWidth") <= 390
        assert console_errors(driver) == []


def test_one_incomplete_query_does_not_keep_the_others(
    driver: Any, bag: Path, tmp_path: Path
) -> None:
    from selenium.webdriver.common.keys import Keys

    out = tmp_path / "run.json"
    with served(bag, out) as server:
        page = Page(driver, server.address)
        page.type("the dog")
        page.find("#absent").click()
        page.press("n")
        page.press("half done")
        page.press(Keys.ESCAPE)
        page.save()
        assert "“half done” is incomplete" in page.message
        assert page.state == "Saved in run.json, but for what is incomplete"
        assert [entry.query for entry in read_annotations(out).entries] == ["the dog"]
        # A saved query that becomes incomplete stays in the file as it was.
        page.find("#absent").click()
        page.save()
        assert (page.state, page.message) == ("Saved in run.json", "")
        page.find("#absent").click()
        page.save()
        page.until(lambda: "incomplete" in page.message)
        assert [entry.query for entry in read_annotations(out).entries] == ["the dog", "half done"]


# A change that makes queries or people incomplete, their ids, and what the page asks for.
INCOMPLETE = {
    "no text": ("own.text = ' '", "own", "Write what the query asks for."),
    "no begin": ("own.begin = null", "own", "Set the frame where the span begins (I)."),
    "no end": ("own.end = null", "own", "Set the frame where the span ends (O)."),
    "ends before it begins": ("own.end = 2", "own", "The span ends before it begins."),
    "no box": ("own.boxes = {}", "own", "Draw a box on at least one frame of the span."),
    "a box after the span": ("own.boxes[30] = [1, 1, 9, 9]", "own", "outside the span"),
    "a box before the span": ("own.boxes[0] = [1, 1, 9, 9]", "own", "outside the span"),
    "nobody's boxes": ("theirs.person = 'p7'", "theirs", "Choose whose boxes these are."),
    "nobody there in the span": (
        "theirs.begin = theirs.end = 1", "theirs", "walker has no box in the span.",
    ),
    "a person without a name": ("walker.text = ''", "walker theirs", "Write a name"),
    "a person without boxes": ("walker.boxes = {}", "walker theirs", "Draw a box on at least one"),
    "two people of one name": (
        "walker.text = 'other '", "walker other theirs", "Another person has this name.",
    ),
    "not absent any more": (
        "gone.absent = false", "gone", "Set the frame where the span begins (I).",
    ),
    "text and begin": ("own.text = ''; own.begin = null", "own", "Write what the query asks for."),
}  # fmt: skip
KEPT = """
const edit = (gone, own, theirs, walker, other) => { EDIT };
const { Model } = await import(new URL("model.js", location));
const item = (id, kind, more) => ({ id, kind, text: id, absent: false, begin: null, end: null,
  person: "", boxes: {}, ...more });
const saved = [
  item("free", "query", { absent: true }),
  item("gone", "query", { absent: true }),
  item("own", "query", { begin: 5, end: 9, boxes: { 5: [1, 1, 9, 9] } }),
  item("theirs", "query", { begin: 5, end: 9, person: "walker" }),
  item("walker", "person", { boxes: { 5: [1, 1, 9, 9] } }),
  item("other", "person", { boxes: { 5: [2, 2, 9, 9] } }),
];
const model = new Model(structuredClone(saved));
const times = Array.from({ length: 41 }, (_, index) => index / 10);
const [free, gone, own, theirs, walker, other] = model.queries;
free.text = "changed";
edit(gone, own, theirs, walker, other);
const bad = (query) => model.problem(query, times);
const problems = Object.fromEntries(model.queries.map((query) => [query.id, bad(query)]));
return { problems, saved, kept: model.without(bad) };
"""


@pytest.mark.parametrize(("edit", "bad", "asked"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_what_is_incomplete_stays_in_the_file_as_it_was(
    driver: Any, bag: Path, tmp_path: Path, edit: str, bad: str, asked: str
) -> None:
    with served(bag, tmp_path / "run.json") as server:
        driver.get(server.address)
        result = driver.execute_script(f"return (async () => {{{KEPT.replace('EDIT', edit)}}})()")
    assert " ".join(sorted(name for name, text in result["problems"].items() if text)) == " ".join(
        sorted(bad.split())
    )
    assert any(asked in text for text in result["problems"].values())
    saved = {item["id"]: item for item in result["saved"]}
    kept = {item["id"]: item for item in result["kept"]}
    assert kept.pop("free") == {**saved.pop("free"), "text": "changed"}
    assert kept == saved


def test_space_plays_after_any_click(driver: Any, bag: Path, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    with served(bag, tmp_path / "run.json") as server:
        page = Page(driver, server.address)
        page.type("one")
        for name in ("two", "three"):
            page.press("n")
            page.press(name)
            page.press(Keys.ESCAPE)

        def played() -> bool:
            """Whether Space moves the clock and nothing else."""
            before = [item.text for item in page.all("#queries button")], page.find("#span").text
            page.press(Keys.HOME)
            page.press(" ")
            page.until(lambda: page.find("#line").get_attribute("aria-valuenow") != "0")
            page.until(lambda: page.find("#play").get_attribute("aria-label") == "Play")
            after = [item.text for item in page.all("#queries button")], page.find("#span").text
            return before == after

        for button in ("#begin", "#end", "#key", "#unkey", "#drop", "#absent", "#absent", "#save"):
            page.find(button).click()
            assert played(), button
        page.all("#queries button")[0].click()
        assert played()
        # A button that the keyboard reached is pressed by Space, as everywhere.
        driver.execute_script("document.getElementById('add').focus()")
        count = len(page.all("#queries button"))
        page.press(" ")
        assert len(page.all("#queries button")) == count + 1


def test_two_pages_of_one_recording(driver: Any, bag: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    with served(bag, out) as server:
        page = Page(driver, server.address)
        page.type("from this page")
        page.find("#absent").click()
        version = server.session.recording_json()["version"]
        other = {"id": "q1", "text": "another page", "absent": True, "begin": None, "end": None,
                 "boxes": {}}  # fmt: skip
        server.session.save({"queries": [other], "version": version})
        page.save()
        assert "run.json was saved by somebody else since this page read it" in page.message
        assert [entry.query for entry in read_annotations(out).entries] == ["another page"]
        console_errors(driver)
