// How good the blend, the plain mean and each source were lately, and what the forecast is made of.

import { byId, draw, make, segments } from "./dom.js";
import { age, difference, forecaster, isMissing, seconds, temperatureUnit } from "./format.js";

const OLD_HOURS = 12;
const TITLES = { temperature_2m: "Hourly", temperature_2m_max: "Highs", temperature_2m_min: "Lows" };
const KINDS = { analysis: "a weather model's own analysis, since no station is near", station: "station observations" };

let chosen = null;

/** Fill the table of scores for a place. */
export function showSkill(skill, place) {
  const keys = Object.keys(skill?.series ?? {});
  chosen = keys.includes(chosen) ? chosen : keys[0] ?? null;
  segments(byId("skill-series"), keys.length > 1 ? keys.map((key) => [key, title(key)]) : [], chosen, (key) => {
    chosen = key;
    showSkill(skill, place);
  });
  byId("skill").replaceChildren(...(chosen ? scores(skill.series[chosen], place, skill.at) : [nothing()]));
}

function title(key) {
  const [variable, period] = key.split("/");
  return `${TITLES[variable] ?? variable}${Number(period) === 43200 ? " (12 h)" : ""}`;
}

const nothing = () => make("p", { class: "quiet" }, "No scores yet: a forecast is scored when its time has passed and observations are there.");

function scores(all, place, at) {
  const own = all.places?.[place.id];
  const score = own ?? all;
  const rows = [
    ["Skyblend", score.blend, "blend"],
    ["plain mean of the sources", score.mean, ""],
    ...Object.entries(score.sources ?? {}).map(([name, one]) => [forecaster(name), one, ""]),
  ].filter(([, one]) => one && !isMissing(one.mae)).sort(([, a], [, b]) => a.mae - b.mae);
  const longest = Math.max(...rows.map(([, one]) => one.mae));
  const where = own ? `at ${place.name}` : "at all places";
  return [make("table", {},
    make("caption", {}, `Typical miss ${where}${all.window_days ? `, last ${all.window_days} days` : ""}; shorter is better.`),
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Forecast"), make("th", { scope: "col" }, make("span", { class: "visually-hidden" }, "Bar")),
      make("th", { scope: "col", class: "number" }, `Miss ${temperatureUnit()}`), make("th", { scope: "col", class: "number" }, "Lean"))),
    make("tbody", {}, ...rows.map(([name, one, kind]) => scoreRow(name, one, kind, longest)))), notes(score, all, at)];
}

function scoreRow(name, { mae, bias, n }, kind, longest) {
  const part = (100 * mae) / longest;
  return make("tr", { class: kind, title: n ? `${n.toLocaleString()} forecasts scored` : null }, make("th", { scope: "row" }, name),
    make("td", { class: "bar" }, draw("svg", { viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" },
      draw("rect", { class: "track", width: 100, height: 12, rx: 2 }), draw("rect", { class: "value", width: part.toFixed(1), height: 12, rx: 2 }))),
    make("td", { class: "number" }, difference(mae, 2)), make("td", { class: "number" }, lean(bias)));
}

function lean(bias) {
  if (isMissing(bias)) return "";
  const amount = difference(Math.abs(bias));
  return Number(amount) === 0 ? "none" : `${amount} ${bias > 0 ? "warm" : "cold"}`;
}

function notes({ blend }, { against }, at) {
  const held = isMissing(blend?.coverage80) ? null
    : `The 80 % band held the truth in ${Math.round(100 * blend.coverage80)} % of ${(blend.n ?? 0).toLocaleString()} cases.`;
  return make("div", { class: "skill-notes" }, held && make("p", {}, held),
    make("p", {}, `Scored ${at ? `${age(seconds(at), Date.now() / 1000)} ` : ""}against ${KINDS[against] ?? against}.`));
}

/** Fill the list of sources with their ages, and name the model. */
export function showSources(series, missing) {
  const now = Date.now() / 1000;
  const rows = series.members.map(({ name, issued_at: issued }) => make("tr", { title: name }, make("th", { scope: "row" }, forecaster(name)),
    make("td", { class: "number" }, make("span", { class: isOld(issued, now) ? "old" : null }, age(seconds(issued), now)))));
  byId("sources").replaceChildren(
    make("table", {}, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Source"), make("th", { scope: "col", class: "number" }, "Run"))), make("tbody", {}, ...rows)),
    missing.length ? make("p", { class: "quiet" }, `Not there: ${missing.map(forecaster).join(", ")}.`) : "",
    make("p", { class: "quiet" }, series.model ? `Blended by model ${series.model}.` : "No trained model yet: the mean of the sources with a default spread."),
    make("p", { class: "quiet" }, `Issued ${age(seconds(series.issued_at), now)}.`),
    ...(series.attribution ?? []).map(terms));
}

/** A provider's terms; only an https address becomes a link. */
const terms = ({ text, url, licence }) => make("p", { class: "quiet terms" },
  url?.startsWith("https://") ? make("a", { href: url, rel: "noreferrer" }, text) : text, licence ? ` (${licence})` : "");

/** Whether a run is so old that readers should know. */
export const isOld = (issued, now) => now - seconds(issued) > OLD_HOURS * 3600;
