// What is being annotated, without the page: queries, spans, key frames, undo. Times are frame
// numbers; boxes are [x1, y1, x2, y2] in pixels of the recording's images.

const UNDO_STEPS = 200;
export const SMALLEST_PX = 4;

/** A query without anything. */
function blank(id) {
  return { id, text: "", absent: false, begin: null, end: null, boxes: {} };
}

/** The frame numbers of a query's key frames, in order. */
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
 * The box of a query at a frame: linear in time between key frames, held before the first and
 * after the last one, as the evaluation reads the file.
 */
export function boxAt(query, frame, times) {
  const keys = keysOf(query);
  if (!keys.length || query.absent) return null;
  const next = keys.findIndex((key) => key >= frame);
  if (next === -1) return query.boxes[keys[keys.length - 1]];
  if (next === 0 || keys[next] === frame) return query.boxes[keys[next]];
  const [a, b] = [keys[next - 1], keys[next]];
  const share = (times[frame] - times[a]) / (times[b] - times[a]);
  return query.boxes[a].map((edge, side) => edge + share * (query.boxes[b][side] - edge));
}

/** What a query still needs before it can be saved; "" when it is complete. */
export function problemOf(query, times) {
  if (!query.text.trim()) return "Write what the query asks for.";
  if (query.absent) return "";
  if (query.begin === null) return "Set the frame where the span begins (I).";
  if (query.end === null) return "Set the frame where the span ends (O).";
  if (query.end < query.begin) return "The span ends before it begins.";
  const keys = keysOf(query);
  if (!keys.length) return "Draw a box on at least one frame of the span.";
  const stray = keys.find((key) => key < query.begin || key > query.end);
  if (stray !== undefined) {
    return `The key frame at ${times[stray].toFixed(2)} s is outside the span: ` +
      "move the span's end or remove the key frame.";
  }
  return "";
}

/** The queries with undo. Every change goes through `change`. */
export class Model {
  constructor(queries) {
    this.queries = queries;
    this.active = 0;
    this.past = [];
    this.future = [];
    this.saved = JSON.stringify(queries);
    if (!queries.length) this.queries = [blank("q1")];
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

  byId(id) {
    return this.queries.find((query) => query.id === id);
  }

  /** What the file holds when the queries that are `bad` keep what it has of them. */
  without(bad) {
    const saved = JSON.parse(this.saved);
    return this.worthSaving().flatMap((query) =>
      bad(query) ? saved.filter((other) => other.id === query.id) : [query]);
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

  add() {
    this.change(() => {
      let number = this.queries.length + 1;
      while (this.queries.some((query) => query.id === `q${number}`)) number += 1;
      this.queries.push(blank(`q${number}`));
      this.active = this.queries.length - 1;
    });
  }

  drop() {
    this.change(() => {
      this.queries.splice(this.active, 1);
      if (!this.queries.length) this.queries.push(blank("q1"));
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
