// The page: frames and boxes in the middle, the time line below, queries at the right.

import { boxAt, fitted, itemsOf, keysOf, Model, SMALLEST_PX } from "./model.js";
import { drawLine, frameAt, svg } from "./line.js";
import { Player } from "./player.js";

const $ = (id) => document.getElementById(id);
const CORNERS = { nw: [0, 1], ne: [2, 1], se: [2, 3], sw: [0, 3] };

let recording; // what the server says about the recording
let model;
let player;
let drag = null; // { kind, start: [x, y], box } while the mouse is down

/** One line in the bar below the title; "" hides it. */
function say(text) {
  $("message").textContent = text;
  $("message").hidden = !text;
}

/** JSON from the server; its own message when it refuses. */
async function ask(path, body) {
  const options = body && {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  };
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The annotation server does not answer; is `stvg-ros annotate` still running?");
  }
  const values = await answer.json().catch(() => ({ error: `The server said ${answer.status}.` }));
  if (!answer.ok) throw new Error(values.error);
  return values;
}

// --- drawing ---------------------------------------------------------------------------------

/** The box to show now: the one being dragged, or that of the key frames. */
function shownBox() {
  return drag?.box ?? boxAt(model.boxed, player.frame, recording.times_s);
}

/** Whether the boxes shown can be changed here; says where, if they are a person's. */
function editable() {
  if (model.boxed === model.query) return true;
  const name = model.boxed.text.trim();
  say(`The boxes are those of “${name}”: choose “${name}” below People to change them.`);
  return false;
}

function inSpan(query, frame) {
  return query.begin !== null && query.end !== null && frame >= query.begin && frame <= query.end;
}

function drawOverlay() {
  const overlay = $("overlay");
  overlay.replaceChildren();
  const query = model.query;
  drawOthers(overlay);
  const box = shownBox();
  if (!box) return;
  const isKey = player.frame in model.boxed.boxes || drag !== null;
  const [x1, y1, x2, y2] = box;
  const outside = query.kind === "query" && !inSpan(query, player.frame);
  const kind = `box mine${isKey ? "" : " between"}${outside ? " outside" : ""}`;
  svg(overlay, "rect", { class: kind, x: x1, y: y1, width: x2 - x1, height: y2 - y1 });
  if (model.boxed !== query) return;
  const side = (10 * recording.size_px[0]) / Math.max(overlay.clientWidth, 1);
  for (const [corner, [x, y]] of Object.entries(CORNERS)) {
    const place = { x: box[x] - side / 2, y: box[y] - side / 2, width: side, height: side };
    svg(overlay, "rect", { class: `handle ${corner}`, "data-corner": corner, ...place });
  }
}

/** The people who are in the frame, but for the one whose box is drawn with handles. */
function drawOthers(overlay) {
  for (const person of model.people) {
    const box = person === model.boxed ? null : boxAt(person, player.frame, recording.times_s);
    if (!box) continue;
    const [x1, y1, x2, y2] = box;
    svg(overlay, "rect", { class: "box other", x: x1, y: y1, width: x2 - x1, height: y2 - y1 });
    const size = (12 * recording.size_px[0]) / Math.max(overlay.clientWidth, 1);
    svg(overlay, "text", { class: "name", x: x1, y: y1 - size / 3, "font-size": size }, person.text);
  }
}

function seconds(frame) {
  return `${recording.times_s[frame].toFixed(2)} s`;
}

function drawForm() {
  const query = model.query;
  const isPerson = query.kind === "person";
  const borrowed = model.boxed !== query;
  const here = player.frame in model.boxed.boxes;
  $("text-label").textContent = isPerson ? "Name" : "Query";
  $("drop").textContent = isPerson ? "Delete person" : "Delete query";
  $("absent-row").hidden = isPerson;
  $("person-row").hidden = isPerson || query.absent || (!model.people.length && !query.person);
  const own = new Option("this query's own", "");
  const names = model.people.map((person) => new Option(person.text.trim() || "(no name)", person.id));
  $("person").replaceChildren(own, ...names);
  $("person").value = query.person;
  if ($("text").value !== query.text) $("text").value = query.text;
  $("absent").checked = query.absent;
  $("span-row").hidden = query.absent || isPerson;
  $("box-row").hidden = query.absent;
  const edge = (frame) => (frame === null ? "?" : seconds(frame));
  const empty = query.begin === null && query.end === null;
  $("span").textContent = empty ? "not set" : `${edge(query.begin)} to ${edge(query.end)}`;
  const box = shownBox();
  const source = here ? "key frame" : "interpolated";
  $("box").textContent = box ? source : "none";
  $("box").title = box ? box.map((value) => value.toFixed(1)).join(", ") : "";
  $("key").disabled = !box || here || borrowed;
  $("unkey").disabled = !here || borrowed;
  $("problem").textContent = problem(query);
}

/** What the list says below the text of an item. */
function aboutOf(item) {
  if (problem(item)) return "incomplete";
  if (item.absent) return "absent";
  const count = keysOf(item).length;
  const keys = `${count} key frame${count === 1 ? "" : "s"}`;
  if (item.kind === "person") return keys;
  const person = model.people.find(({ id }) => id === item.person);
  return `${seconds(item.begin)} to ${seconds(item.end)}, ${person ? person.text.trim() : keys}`;
}

function itemButton(item) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = item.text.trim() || (item.kind === "person" ? "(no name yet)" : "(no text yet)");
  button.setAttribute("aria-current", String(item === model.query));
  const about = document.createElement("small");
  about.textContent = aboutOf(item);
  about.classList.toggle("bad", about.textContent === "incomplete");
  button.append(about);
  button.addEventListener("click", () => update(() => (model.active = model.queries.indexOf(item))));
  const line = document.createElement("li");
  line.append(button);
  return line;
}

function drawQueries() {
  for (const [list, kind] of [["queries", "query"], ["people", "person"]]) {
    const items = model.queries.filter((item) => item.kind === kind);
    $(list).replaceChildren(...items.map(itemButton));
  }
}

function draw() {
  const last = recording.times_s.length - 1;
  $("clock").textContent = `${seconds(player.frame)} · frame ${player.frame}`;
  $("play").innerHTML = player.playing ? "&#10074;&#10074;" : "&#9654;";
  $("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
  $("line").setAttribute("aria-valuemax", last);
  $("line").setAttribute("aria-valuenow", player.frame);
  $("line").setAttribute("aria-valuetext", seconds(player.frame));
  const shown = { ...model.query, boxes: model.boxed.boxes };
  drawLine($("line"), recording.times_s, shown, player.frame);
  drawOverlay();
  drawForm();
  let state = recording.exists ? `Saved in ${recording.out}` : `Saves to ${recording.out}`;
  if (model.changed) {
    const partly = recording.exists && model.isSavedWithout(problem);
    state = partly ? `Saved in ${recording.out}, but for what is incomplete` : "Not saved";
  }
  $("state").textContent = state;
}

/** Runs an edit and shows its outcome. */
function update(edit) {
  edit();
  drawQueries();
  draw();
}

/** Fits picture and overlay into the room that there is. */
function layOut() {
  const stage = $("stage");
  const [width, height] = recording.size_px;
  const scale = Math.min(stage.clientWidth / width, stage.clientHeight / height);
  for (const element of [$("frame"), $("overlay")]) {
    element.style.width = `${Math.floor(width * scale)}px`;
    element.style.height = `${Math.floor(height * scale)}px`;
  }
  $("overlay").setAttribute("viewBox", `0 0 ${width} ${height}`);
  draw();
}

// --- mouse -----------------------------------------------------------------------------------

function pointOf(event) {
  const area = $("overlay").getBoundingClientRect();
  const [width, height] = recording.size_px;
  return [
    ((event.clientX - area.left) / area.width) * width,
    ((event.clientY - area.top) / area.height) * height,
  ];
}

function startDrag(event) {
  if (event.button !== 0 || model.query.absent || !editable()) return;
  player.pause();
  const start = pointOf(event);
  const from = shownBox();
  const corner = event.target.dataset?.corner;
  const kind = corner ?? (event.target.classList.contains("mine") ? "move" : "new");
  drag = { kind, start, from, box: from };
  event.currentTarget.setPointerCapture(event.pointerId);
}

function moveDrag(event) {
  if (!drag) return;
  const [x, y] = pointOf(event);
  const [dx, dy] = [x - drag.start[0], y - drag.start[1]];
  if (drag.kind === "new") {
    // A click that trembles is not a box.
    const small = Math.min(Math.abs(dx), Math.abs(dy)) < SMALLEST_PX;
    drag.box = small ? drag.from : [drag.start[0], drag.start[1], x, y];
  } else if (drag.kind === "move") {
    drag.box = moved(drag.from, dx, dy);
  } else {
    drag.box = [...drag.from];
    const [atX, atY] = CORNERS[drag.kind];
    drag.box[atX] += dx;
    drag.box[atY] += dy;
  }
  if (drag.box) drag.box = fitted(drag.box, recording.size_px) ?? drag.from;
  draw();
}

function endDrag() {
  if (!drag) return;
  const { box, from } = drag;
  drag = null;
  update(() => {
    if (box && box !== from) model.setBox(player.frame, box);
  });
}

/** The box shifted, of equal size, inside the image. */
function moved(box, dx, dy) {
  const [width, height] = recording.size_px;
  const x = Math.min(Math.max(dx, -box[0]), width - box[2]);
  const y = Math.min(Math.max(dy, -box[1]), height - box[3]);
  return [box[0] + x, box[1] + y, box[2] + x, box[3] + y];
}

// --- keys and buttons ------------------------------------------------------------------------

/** Sets the begin or the end of the span to the current frame. */
function setSpan(side) {
  if (model.query.kind === "person") return;
  update(() => model.change(() => {
    model.query.absent = false;
    model.query[side] = player.frame;
  }));
}

function newBox() {
  if (!editable()) return;
  const [width, height] = recording.size_px;
  const box = [0.4 * width, 0.3 * height, 0.6 * width, 0.7 * height];
  update(() => model.setBox(player.frame, fitted(box, recording.size_px)));
}

function makeKey() {
  const box = editable() && shownBox();
  if (box) update(() => model.setBox(player.frame, fitted(box, recording.size_px) ?? box));
}

/** Alt and an arrow: moves the box, with Shift its lower right corner. */
function nudge(dx, dy, sizes) {
  const box = editable() && shownBox();
  if (!box) return;
  const wanted = sizes ? [box[0], box[1], box[2] + dx, box[3] + dy] : moved(box, dx, dy);
  const kept = fitted(wanted, recording.size_px);
  if (kept) update(() => model.setBox(player.frame, kept));
}

function toKey(direction) {
  const keys = keysOf(model.boxed);
  const next = direction > 0
    ? keys.find((key) => key > player.frame)
    : keys.reverse().find((key) => key < player.frame);
  if (next !== undefined) player.show(next);
}

function chooseQuery(step) {
  const next = Math.min(Math.max(model.active + step, 0), model.queries.length - 1);
  update(() => (model.active = next));
}

function removeKey() {
  if (editable()) update(() => model.removeBox(player.frame));
}

const problem = (query) => model.problem(query, recording.times_s);

/** Saves, one time after the other. */
async function save() {
  if ($("save").disabled) return;
  $("save").disabled = true;
  await saveComplete();
  $("save").disabled = false;
}

/** Saves what is complete; of the others the file keeps what it has. */
async function saveComplete() {
  const bad = model.worthSaving().find(problem);
  const whole = structuredClone(model.without(problem));
  const stays = (item) => !model.current(item) || problem(model.current(item));
  const ids = (kind) => whole.filter((item) => item.kind === kind && stays(item))
    .map((item) => item.id);
  const [kept, keptPeople] = [ids("query"), ids("person")];
  const queries = whole.filter((item) => item.kind === "query" && !kept.includes(item.id));
  const people = whole.filter((item) => item.kind === "person" && !keptPeople.includes(item.id))
    .map(({ id, text, boxes }) => ({ id, name: text, boxes }));
  try {
    if (!bad || whole.length) {
      const body = { queries, kept, people, kept_people: keptPeople, version: recording.version };
      const { version } = await ask("save", body);
      recording.version = version;
      recording.exists = true;
      model.markSaved(whole);
    }
    say("");
  } catch (error) {
    say(`Not saved. ${error.message}`);
    draw();
    return;
  }
  if (bad) {
    update(() => (model.active = model.queries.indexOf(bad)));
    const name = bad.text.trim() ? `“${bad.text.trim()}”` : `A ${bad.kind} without ${bad.kind === "person" ? "a name" : "text"}`;
    say(`Not saved. ${name} is incomplete: ${problem(bad)}`);
  }
  draw();
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEYS = {
  " ": () => player.toggle(),
  Home: () => player.show(0),
  End: () => player.show(recording.times_s.length - 1),
  "[": () => toKey(-1),
  "]": () => toKey(1),
  i: () => setSpan("begin"),
  o: () => setSpan("end"),
  b: newBox,
  k: makeKey,
  Delete: removeKey,
  Backspace: removeKey,
  n: () => add("query"),
  p: () => add("person"),
  q: () => $("text").focus(),
  "?": () => $("help").showModal(),
};

function add(kind) {
  update(() => model.add(kind));
  $("text").focus();
}

function onKey(event) {
  const command = event.ctrlKey || event.metaKey;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (command && key === "s") {
    event.preventDefault();
    save();
    return;
  }
  if ($("help").open) return;
  if (event.target === $("text") || event.target === $("person")) {
    if (key === "Escape") event.target.blur();
    return; // its own keys, with its own undo
  }
  const history = command && { z: event.shiftKey ? "redo" : "undo", y: "redo" }[key];
  if (history) {
    event.preventDefault();
    update(() => model[history]());
    return;
  }
  if (command) return;
  if (key in ARROWS) {
    event.preventDefault();
    const [x, y] = ARROWS[key];
    if (event.altKey) nudge(x, y, event.shiftKey);
    else if (x) player.show(player.frame + x * (event.shiftKey ? 10 : 1));
    else chooseQuery(y);
    return;
  }
  // Space presses a button that has the focus by the keyboard; a click leaves none behind.
  if (event.altKey || !(key in KEYS) || (key === " " && event.target.closest("button, input"))) return;
  event.preventDefault();
  KEYS[key]();
}

function scrub(event) {
  if (event.type === "pointerdown") event.currentTarget.setPointerCapture(event.pointerId);
  if (event.type === "pointermove" && !event.buttons) return;
  player.show(frameAt($("line"), recording.times_s, event.clientX));
}

function listen() {
  const overlay = $("overlay");
  overlay.addEventListener("pointerdown", startDrag);
  overlay.addEventListener("pointermove", moveDrag);
  overlay.addEventListener("pointerup", endDrag);
  overlay.addEventListener("pointercancel", () => { drag = null; draw(); });
  $("line").addEventListener("pointerdown", scrub);
  $("line").addEventListener("pointermove", scrub);
  $("text").addEventListener("input", () => update(() => model.change(
    () => (model.query.text = $("text").value), { merge: `text ${model.query.id}` },
  )));
  $("absent").addEventListener("change", () => update(() => model.change(() => {
    // An absent target has no span and no boxes; undo brings them back.
    const absent = $("absent").checked;
    Object.assign(model.query, { absent, begin: null, end: null, person: "", boxes: {} });
  })));
  $("person").addEventListener("change", () => update(() => model.change(() => {
    Object.assign(model.query, { person: $("person").value, boxes: {} });
  })));
  const clicks = {
    play: () => player.toggle(),
    begin: () => setSpan("begin"),
    end: () => setSpan("end"),
    key: makeKey,
    unkey: removeKey,
    add: () => add("query"),
    "add-person": () => add("person"),
    drop: () => update(() => model.drop()),
    save,
    "help-open": () => $("help").showModal(),
  };
  for (const [id, action] of Object.entries(clicks)) $(id).addEventListener("click", action);
  // A button that was clicked would take the next Space for a press.
  document.addEventListener("click", (event) => {
    if (event.detail) event.target.closest("button, input")?.blur();
  });
  $("form").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", onKey);
  new ResizeObserver(layOut).observe($("stage"));
  window.addEventListener("beforeunload", (event) => {
    if (model.changed) event.preventDefault();
  });
}

async function start() {
  try {
    recording = await ask("recording");
  } catch (error) {
    say(error.message);
    return;
  }
  $("recording").textContent = recording.name;
  model = new Model(itemsOf(recording));
  player = new Player($("frame"), recording.times_s, draw, say);
  listen();
  say(recording.notes.join(" "));
  update(() => {});
  player.show(0);
}

start();
