// The time line below the picture: seconds, the span, key frames and the current frame.

import { keysOf } from "./model.js";

const MARGIN = 8;
const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 3600];

/** Appends an SVG element. */
export function svg(parent, name, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.textContent = text;
  parent.append(element);
}

function scale(line, times) {
  const length = Math.max(times[times.length - 1] - times[0], 1e-9);
  const room = line.clientWidth - 2 * MARGIN;
  return (time) => MARGIN + ((time - times[0]) / length) * room;
}

/** The frame nearest to a place of the mouse. */
export function frameAt(line, times, clientX) {
  const x = clientX - line.getBoundingClientRect().left;
  const at = scale(line, times);
  let [low, high] = [0, times.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (at(times[middle]) <= x) low = middle;
    else high = middle;
  }
  return x - at(times[low]) < at(times[high]) - x ? low : high;
}

export function drawLine(line, times, query, frame) {
  line.replaceChildren();
  const at = scale(line, times);
  const width = line.clientWidth;
  const length = times[times.length - 1] - times[0];
  const step = STEPS_S.find((seconds) => length / seconds <= width / 70) ?? 36000;
  svg(line, "rect", { class: "track", x: MARGIN, y: 8, width: width - 2 * MARGIN, height: 12, rx: 3 });
  for (let count = 0; count * step <= length + 1e-9; count += 1) {
    const [x, time] = [at(times[0] + count * step), count * step];
    svg(line, "line", { class: "tick", x1: x, x2: x, y1: 20, y2: 26 });
    svg(line, "text", { class: "tick-text", x, y: 39 }, `${Number(time.toFixed(1))} s`);
  }
  const { begin, end } = query;
  if (begin !== null || end !== null) {
    const [a, b] = [at(times[begin ?? end]), at(times[end ?? begin])];
    svg(line, "rect", { class: "span", x: a, y: 8, width: Math.max(b - a, 2), height: 12, rx: 2 });
  }
  for (const key of keysOf(query)) {
    const x = at(times[key]);
    svg(line, "path", { class: "key", d: `M${x} 7 l6 7 l-6 7 l-6 -7 z` });
  }
  const x = at(times[frame]);
  svg(line, "line", { class: "head-line", x1: x, x2: x, y1: 2, y2: 26 });
}
