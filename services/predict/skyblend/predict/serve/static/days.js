// Highs and lows of the coming days, each with the range that holds 8 times in 10.

import { draw, make } from "./dom.js";
import { dayAndMonth, daysBetween, degrees, isMissing, range } from "./format.js";
import { capital, nearName } from "./words.js";

const WIDTH = 100, MARGIN = 3, ONE_ROW = 7;

/** Fill the list `box`; gives whether there is anything to show. */
export function showDays(box, allDays, now) {
  const coming = allDays.filter(({ day }) => daysBetween(now, day) >= 0);
  const values = coming.flatMap(({ high, low }) => [high, low].filter(Boolean).flatMap((one) => [one.low, one.high]));
  const scale = [Math.min(...values), Math.max(...values)];
  box.classList.toggle("many", coming.length > ONE_ROW);
  box.replaceChildren(...coming.map((one) => card(one, scale, now)));
  return coming.length > 0;
}

function card({ day, high, low }, scale, now) {
  return make("li", { class: "day" },
    make("div", {}, make("h4", {}, capital(nearName(day, now))), make("div", { class: "date" }, dayAndMonth(day))),
    make("dl", {}, entry("high", "High", high), entry("low", "Low", low)),
    bars(high, low, scale));
}

function entry(kind, title, value) {
  if (!value || isMissing(value.median)) return make("div", { class: kind });
  return make("div", { class: kind }, make("dt", {}, title),
    make("dd", {}, make("b", {}, degrees(value.median)), make("small", {}, range(value.low, value.high))));
}

/** Where the two ranges lie in those of all the days shown. */
function bars(high, low, [from, to]) {
  const at = (value) => MARGIN + ((value - from) / Math.max(to - from, 1)) * (WIDTH - 2 * MARGIN);
  const line = (kind, left, right) => draw("line", { class: kind, x1: left.toFixed(1), x2: right.toFixed(1), y1: 4, y2: 4 });
  const ranges = [[low, "low-range"], [high, "high-range"]].filter(([value]) => value && !isMissing(value.low));
  return draw("svg", { viewBox: `0 0 ${WIDTH} 8`, preserveAspectRatio: "none", "aria-hidden": "true" },
    line("track", MARGIN, WIDTH - MARGIN), ...ranges.map(([value, kind]) => line(kind, at(value.low), at(value.high))));
}
