// What is being annotated, without the page: queries, people, spans, key frames, undo. Times are
// frame numbers; boxes are [x1, y1, x2, y2] in pixels of the recording's images.

const UNDO_STEPS = 200;
export const SMALLEST_PX = 4;

/**
 * A query or a person without anything. The text of a person is the name. A query has boxes of its
 * own, or `person` is the id of the person who has them.
 */
function blank(id, kind) {
  return { id, kind, text: "", absent: false, begin: null, end: null, person: "", boxes: {} };
}

/** The server's queries and people as one list. */
export function itemsOf({ queries, people }) {
  return [
    ...queries.map((query) => ({ ...blank(query.id, "query"), ...query })),
    ...people.map(({ id, name, boxes }) => ({ ...blank(id, "person"), text: name, boxes })),
  ];
}

/** The frame numbers of the key frames of a query or person, in order. */
export function keysOf(query) {
  return Object.keys(query.boxes).map(Number).sort((a, b) => a - b);
}

/** The corners sorted and kept inside the image; null when the box is too small to be meant. */
export function fitted(box, [width, height]) {
  const clamp = (value, most) => Math.min(Math.max(value, 0), most);
  const xs = [clamp(box[0], width), clamp(box[2], width)].sort((a, b) => a - b);
  const ys = [clamp(box[1], height), clamp(box[3], height)].sort((a, b) => a - b);
  if (xs[1] - xs[0] < SMALLEST_PX || ys[1] - ys[0] < SMALLEST_PX) return null;
  return [xs[0], ys[0], xs[1], ys[1]].map((edge) => Math.round(edge * 10) / 10);
}

/**
 * The box of a query or person at a frame: linear in time between key frames, as the evaluation
 * reads the file. Before the first and after the last one a query's box is held, and a person is
 * absent.
 */
export function boxAt(query, frame, times) {
  const keys = keysOf(query);
  if (!keys.length || query.absent) return null;
  const next = keys.findIndex((key) => key >= frame);
  if (keys[next] === frame) return query.boxes[frame];
  if (next <= 0 && query.kind === "person") return null;
  if (next <= 0) return query.boxes[keys.at(next)];
  const [a, b] = [keys[next - 1], keys[next]];
  const share = (times[frame] - times[a]) / (times[b] - times[a]);
  return query.boxes[a].map((edge, side) => edge + share * (query.boxes[b][side] - edge));
}

/** What a person still needs before it can be saved; "" when it is complete. */
function problemOfPerson(person, items) {
  const name = person.text.trim();
  if (!name) return "Write a name for the person.";
  const others = items.filter((item) => item.kind === "person" && item.id !== person.id);
  if (others.some((other) => other.text.trim() === name)) return "Another person has this name.";
  return keysOf(person).length ? "" : "Draw a box on at least one frame.";
}

/** What a query or person still needs before it can be saved; "" when it is complete. */
export function problemOf(query, times, items) {
  if (query.kind === "person") return problemOfPerson(query, items);
  if (!query.text.trim()) return "Write what the query asks for.";
  if (query.absent) return "";
  if (query.begin === null) return "Set the frame where the span begins (I).";
  if (query.end === null) return "Set the frame where the span ends (O).";
  if (query.end < query.begin) return "The span ends before it begins.";
  if (query.person) {
    const person = items.find((item) => item.kind === "person" && item.id === query.person);
    if (!person) return "Choose whose boxes these are.";
    const problem = problemOfPerson(person, items);
    if (problem) return `The person is incomplete: ${problem}`;
    const there = keysOf(person);
    const apart = there[0] > query.end || there.at(-1) < query.begin;
    return apart ? `${person.text.trim()} has no box in the span.` : "";
  }
  const keys = keysOf(query);
  if (!keys.length) return "Draw a box on at least one frame of the span.";
  const stray = keys.find((key) => key < query.begin || key > query.end);
  if (stray !== undefined) {
    return `The key frame at ${times[stray].toFixed(2)} s is outside the span: ` +
      "move the span's end or remove the key frame.";
  }
  return "";
}

/** The queries and people with undo. Every change goes through `change`. */
export class Model {
  constructor(queries) {
    this.queries = queries;
    this.active = 0;
    this.past = [];
    this.future = [];
    this.saved = JSON.stringify(queries);
    if (!queries.length) this.queries = [blank("q1", "query")];
  }

  get people() {
    return this.queries.filter((item) => item.kind === "person");
  }

  /** Whose key frames the active query shows: its own, or those of its person. */
  get boxed() {
    return this.people.find((person) => person.id === this.query.person) ?? this.query;
  }

  problem(query, times) {
    return problemOf(query, times, this.queries);
  }

  get query() {
    return this.queries[this.active];
  }

  /** Whether something differs from the file; queries without anything in them do not count. */
  get changed() {
    return JSON.stringify(this.worthSaving()) !== this.saved;
  }

  worthSaving() {
    return this.queries.filter((q) => q.text.trim() || q.begin !== null || q.end !== null ||
      q.absent || keysOf(q).length);
  }

  /** The item of now for one of `without`. */
  current(item) {
    return this.queries.find((query) => query.kind === item.kind && query.id === item.id);
  }

  /**
   * What the file holds when the queries that are `bad` keep what it has of them, with the people
   * whom these queries name there.
   */
  without(bad) {
    const saved = JSON.parse(this.saved);
    const kept = this.worthSaving().flatMap((query) =>
      bad(query) ? saved.filter((other) => other.kind === query.kind && other.id === query.id) : [query]);
    const missing = saved.filter((person) => person.kind === "person" &&
      kept.some((query) => query.person === person.id) &&
      !kept.some((other) => other.kind === "person" && other.id === person.id));
    return [...kept, ...missing];
  }

  /** Whether all is in the file but the changes of queries that are `bad`. */
  isSavedWithout(bad) {
    return JSON.stringify(this.without(bad)) === this.saved;
  }

  /** The file holds these queries now. */
  markSaved(queries) {
    this.saved = JSON.stringify(queries);
  }

  /** Runs `edit`, which may change queries and active, as one step of undo. */
  change(edit, { merge = "" } = {}) {
    const before = JSON.stringify([this.queries, this.active]);
    edit(this);
    if (JSON.stringify([this.queries, this.active]) === before) return;
    // Typing in one field is one step.
    if (!(merge && merge === this.merging)) this.past.push(before);
    if (this.past.length > UNDO_STEPS) this.past.shift();
    this.merging = merge;
    this.future = [];
  }

  undo() {
    this.travel(this.past, this.future);
  }

  redo() {
    this.travel(this.future, this.past);
  }

  travel(from, to) {
    if (!from.length) return;
    to.push(JSON.stringify([this.queries, this.active]));
    [this.queries, this.active] = JSON.parse(from.pop());
    this.merging = "";
  }

  add(kind) {
    this.change(() => {
      const used = this.queries.filter((item) => item.kind === kind).map((item) => item.id);
      let number = used.length + 1;
      while (used.includes(`${kind[0]}${number}`)) number += 1;
      // Queries stay before people, as the page lists them.
      this.active = kind === "query" ? this.queries.length - this.people.length : this.queries.length;
      this.queries.splice(this.active, 0, blank(`${kind[0]}${number}`, kind));
    });
  }

  drop() {
    this.change(() => {
      this.queries.splice(this.active, 1);
      if (!this.queries.length) this.queries.push(blank("q1", "query"));
      this.active = Math.min(this.active, this.queries.length - 1);
    });
  }

  /** Makes `box` the key frame at `frame`. */
  setBox(frame, box) {
    this.change(() => {
      this.query.absent = false;
      this.query.boxes[frame] = box;
    });
  }

  removeBox(frame) {
    this.change(() => delete this.query.boxes[frame]);
  }
}
