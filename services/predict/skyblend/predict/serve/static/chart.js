// The chart: the 80 % band, the median and each source as a thin line, in the browser's own time.

import { make } from "./dom.js";
import { dayOfMonth, degrees, forecaster, hourMark, isMissing, moment, range, shortWeekday, shown, temperatureUnit } from "./format.js";
import { nearest } from "./words.js";

const HOUR = 3600, DAY = 24 * HOUR, PAST = 6 * HOUR;
const COLOURS = 7, SAME_DASH = 3;  // three solid lines, three dashed, three dotted: colour is never the only difference
const DASHES = [[], [7, 4], [2, 3]];
const DASH_NAMES = ["", "dashed", "dotted"];
const P10 = 1, P90 = 2, FIRST_MEMBER = 4;  // columns of the plot

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const look = (index) => ({ colour: (index % COLOURS) + 1, dash: Math.floor(index / SAME_DASH) % DASHES.length });

/** The chart in `box`. Sources that were switched off stay off until they are switched on again. */
export class Chart {
  #box; #live; #legend; #plot = null; #tip; #series = null; #days = 0; #hidden = new Set(); #width = 0;

  constructor(box, live, legend) {
    [this.#box, this.#live, this.#legend] = [box, live, legend];
    this.#tip = make("div", { class: "tip", hidden: true, "aria-hidden": "true" });
    new ResizeObserver(() => this.#resized()).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#build());
    box.addEventListener("keydown", (event) => this.#key(event));
    box.addEventListener("blur", () => this.#leave());
  }

  /** Show a series for so many days from now; 0 is all of it. */
  show(series, days) {
    [this.#series, this.#days] = [series, days];
    this.#build();
  }

  #build() {
    if (!this.#series) return;
    this.#plot?.destroy();
    this.#plot = new uPlot(this.#options(), this.#data(), this.#box);
    this.#plot.over.append(this.#tip);
    this.#tip.hidden = true;
    this.#describe();
    this.#drawLegend();
  }

  #data() {
    const { time, quantiles, members } = this.#series;
    const values = [quantiles.p10, quantiles.p90, quantiles.p50, ...members.map((member) => member.values)];
    return [time, ...values.map((column) => column.map(shown))];
  }

  #options() {
    const thin = (member, i) => ({
      label: forecaster(member.name), show: !this.#hidden.has(member.name), width: 1.25, spanGaps: true,
      stroke: css(`--source-${look(i).colour}`), dash: DASHES[look(i).dash], points: { show: false },
    });
    const edge = { stroke: "transparent", width: 0, points: { show: false } };
    return {
      width: this.#box.clientWidth, height: this.#box.clientWidth < 520 ? 280 : 350,
      legend: { show: false }, padding: [12, 10, 0, 0],
      cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
      scales: { x: { range: () => this.#window() }, y: { range: (_, low, high) => roomy(low, high) } },
      axes: this.#axes(),
      bands: [{ series: [P90, P10], fill: css("--band") }],
      series: [{}, { ...edge }, { ...edge },
        { label: "median", stroke: css("--blend"), width: 2.75, points: { show: false } },
        ...this.#series.members.map(thin)],
      hooks: { draw: [drawNow], setCursor: [(plot) => this.#point(plot)] },
    };
  }

  #axes() {
    const common = { stroke: css("--quiet"), font: "12px system-ui, sans-serif", ticks: { show: false } };
    return [
      { ...common, grid: { stroke: css("--grid"), width: 1 }, size: 44, gap: 6,
        splits: (plot, _, low, high) => dayMarks(low, high, plot.bbox.width / devicePixelRatio), values: (_, marks) => marks.map(markText) },
      { ...common, grid: { stroke: css("--grid"), width: 1 }, size: 46, gap: 6, incrs: [1, 2, 5, 10, 20, 50], values: (_, marks) => marks.map((mark) => `${mark}`.replace("-", "−") + "°") },
    ];
  }

  #window() {
    const { time } = this.#series;
    const now = Date.now() / 1000, last = time[time.length - 1];
    if (last <= now) return [time[0], last];
    const from = Math.max(time[0], now - PAST);
    return [from, this.#days ? Math.min(last, now + this.#days * DAY) : last];
  }

  #point(plot) {
    const { idx, left } = plot.cursor;
    this.#tip.hidden = idx === null || idx === undefined || left < 0;
    if (this.#tip.hidden) return;
    this.#tip.replaceChildren(...this.#told(idx));
    const side = left > plot.over.clientWidth / 2 ? left - this.#tip.offsetWidth - 14 : left + 14;
    this.#tip.style.left = `${Math.max(0, Math.min(side, plot.over.clientWidth - this.#tip.offsetWidth))}px`;
    this.#tip.style.top = "6px";
  }

  #told(i) {
    const { time, quantiles, members } = this.#series;
    const row = (kind, swatch, name, value) => make("div", { class: `row ${kind}` }, make("span", {}, make("i", { class: `swatch ${swatch}` }), name), make("span", {}, value));
    const visible = members.map((member, k) => [member, k]).filter(([member]) => !this.#hidden.has(member.name) && !isMissing(member.values[i]));
    return [
      make("strong", {}, moment(time[i])),
      row("main", "c0 thick", "median", degrees(quantiles.p50[i], 1)),
      row("", "area", "80 %", range(quantiles.p10[i], quantiles.p90[i])),
      ...(visible.length ? [make("hr")] : []),
      ...visible.map(([member, k]) => row("", `c${look(k).colour} ${DASH_NAMES[look(k).dash]}`, forecaster(member.name), degrees(member.values[i], 1))),
    ];
  }

  #key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -24, PageDown: 24 };
    if (event.key === "Escape") this.#leave();
    if (!(event.key in steps)) return;
    event.preventDefault();
    const { time, quantiles } = this.#series;
    const [from, to] = this.#window();
    const start = this.#plot.cursor.idx ?? nearest(time, Date.now() / 1000) - steps[event.key];
    const first = time.findIndex((t) => t >= from), last = time.findLastIndex((t) => t <= to);
    const i = Math.min(Math.max(start + steps[event.key], first), last);
    this.#plot.setCursor({ left: this.#plot.valToPos(time[i], "x"), top: 10 });
    this.#live.textContent = `${moment(time[i])}: ${degrees(quantiles.p50[i])}, 80 % from ${range(quantiles.p10[i], quantiles.p90[i])}`;
  }

  #leave() {
    this.#plot?.setCursor({ left: -10, top: -10 });
  }

  #describe() {
    const [from, to] = this.#window();
    const { time, quantiles } = this.#series;
    const inside = quantiles.p50.filter((value, i) => time[i] >= from && time[i] <= to && !isMissing(value));
    this.#box.setAttribute("aria-label", `Chart of the temperature from ${moment(from)} to ${moment(to)}: the median lies between ` +
      `${degrees(Math.min(...inside))} and ${degrees(Math.max(...inside))}${temperatureUnit().slice(1)}; with the 80 % band and ${this.#series.members.length} sources.`);
  }

  #drawLegend() {
    const key = (swatch, text) => make("span", { class: "key" }, make("i", { class: `swatch ${swatch}` }), text);
    const focused = this.#legend.contains(document.activeElement) ? document.activeElement.title : null;
    this.#legend.replaceChildren(key("c0 thick", "median"), key("area", "80 % band"), ...this.#series.members.map((member, i) =>
      make("button", { type: "button", title: member.name, "aria-pressed": String(!this.#hidden.has(member.name)), click: () => this.#switch(member.name, i) },
        make("i", { class: `swatch c${look(i).colour} ${DASH_NAMES[look(i).dash]}` }), forecaster(member.name))));
    if (focused) [...this.#legend.querySelectorAll("button")].find((button) => button.title === focused)?.focus();
  }

  #switch(name, i) {
    const on = this.#hidden.delete(name);
    if (!on) this.#hidden.add(name);
    this.#plot.setSeries(FIRST_MEMBER + i, { show: on });
    this.#drawLegend();
  }

  #resized() {
    if (this.#plot && this.#box.clientWidth && this.#box.clientWidth !== this.#width) {
      this.#width = this.#box.clientWidth;
      this.#build();
    }
  }
}

function roomy(low, high) {
  if (isMissing(low) || isMissing(high)) return [0, 10];
  const spare = Math.max((high - low) * 0.08, 0.5);
  return [low - spare, high + spare];
}

/** Marks at the browser's midnights, with as many hours between as there is room for. */
function dayMarks(low, high, width) {
  const perDay = width / ((high - low) / DAY);
  const step = [3, 6, 12].find((hours) => (perDay * hours) / 24 > 46) ?? 24;
  const skip = Math.ceil(40 / perDay);
  const marks = [];
  const day = new Date(low * 1000);
  day.setHours(0, 0, 0, 0);
  for (let number = 0; day.getTime() / 1000 <= high; day.setDate(day.getDate() + 1), number += 1) {
    for (let hour = 0; hour < 24 && number % skip === 0; hour += step) {
      const time = new Date(day).setHours(hour) / 1000;
      if (time >= low && time <= high) marks.push(time);
    }
  }
  return marks;
}

function markText(mark) {
  const midnight = new Date(mark * 1000).getHours() === 0;
  return midnight ? `${shortWeekday(mark)}\n${dayOfMonth(mark)}` : hourMark(mark);
}

/** The line at the present time. */
function drawNow(plot) {
  const at = plot.valToPos(Date.now() / 1000, "x", true);
  const { left, top, width, height } = plot.bbox;
  if (at < left || at > left + width) return;
  const { ctx } = plot;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = css("--now");
  ctx.globalAlpha = 0.55;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([]);
  ctx.beginPath();
  ctx.moveTo(at, top);
  ctx.lineTo(at, top + height);
  ctx.stroke();
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.fillText("now", at + 5 * devicePixelRatio, top + 12 * devicePixelRatio);
  ctx.restore();
}
