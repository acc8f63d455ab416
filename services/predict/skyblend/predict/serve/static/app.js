// The page: reads the forecast of the chosen place and shows it, again every minute.

import { Problem, read, readIfThere } from "./api.js";
import { Chart } from "./chart.js";
import { showDays } from "./days.js";
import { byId, make, segments, tell } from "./dom.js";
import { age, clock, degrees, range, seconds, switchUnit, temperatureUnit } from "./format.js";
import { Places, position } from "./places.js";
import { isOld, showSkill, showSources } from "./skill.js";
import { days, nearest, sentence } from "./words.js";

const EVERY = 60000, WAITING = 4000;  // ms
const SPANS = [[2, "2 days"], [4, "4 days"], [0, "All"]];

const state = { places: [], place: null, hourly: null, highs: null, lows: null, skill: {}, missing: [], span: innerWidth < 520 ? 2 : 4, read: null };
const chart = new Chart(byId("chart"), byId("chart-live"), byId("legend"));
const list = new Places(choose);
let timer = null, turn = 0;

/** Read everything and show it; what fails leaves the last state in place and says so. */
async function refresh() {
  clearTimeout(timer);
  const mine = (turn += 1);
  let pause = EVERY;
  try {
    pause = (await readAll(mine)) ? EVERY : WAITING;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (mine === turn) fail(problem);
    pause = state.read ? EVERY / 4 : WAITING;
  } finally {
    if (mine === turn) {
      byId("forecast").setAttribute("aria-busy", "false");
      timer = setTimeout(refresh, pause);
    }
  }
}

/** Gives whether there was a forecast to show. */
async function readAll(mine) {
  const { places, simulated } = await read("/v1/places");
  if (mine !== turn) return true;
  [state.places, state.place] = [places, chosenOf(places)];
  byId("simulated").hidden = !simulated;
  list.show(places, state.place?.id ?? null);
  if (!state.place) return empty(noPlaces());
  const found = await readPlace(state.place);
  if (mine !== turn) return true;
  tell(byId("trouble"));
  if (!found.hourly && !found.highs && !found.lows) return empty(noForecast());
  Object.assign(state, found, { read: Date.now() / 1000 });
  show();
  return true;
}

async function readPlace({ id: place, issued_at: issued, series: there }) {
  const series = async (variable) => (there.some((one) => one.variable === variable) ? issuedOrNull("/v1/series", { place, variable }) : null);
  const [hourly, highs, lows, sources, skill] = await Promise.all([
    series("temperature_2m"), series("temperature_2m_max"), series("temperature_2m_min"),
    issued ? issuedOrNull("/v1/sources", { place }) : null, read("/v1/skill")]);
  return { hourly, highs, lows, skill, missing: sources?.missing ?? [] };
}

/** Null also where nothing has been issued yet (503). */
async function issuedOrNull(path, parameters) {
  try {
    return await readIfThere(path, parameters);
  } catch (problem) {
    if (problem.status === 503) return null;
    throw problem;
  }
}

function chosenOf(places) {
  const wanted = new URLSearchParams(location.hash.slice(1)).get("place");
  return places.find(({ id }) => id === wanted) ?? places.find(({ issued_at: issued }) => issued) ?? places[0] ?? null;
}

function choose(id) {
  history.replaceState(null, "", `#${new URLSearchParams({ place: id })}`);
  list.show(state.places, id);
  refresh();
}

function show() {
  const now = Date.now() / 1000;
  const main = state.hourly ?? state.highs ?? state.lows;
  const allDays = days(state.highs, state.lows);
  byId("empty").hidden = true;
  byId("content").hidden = false;
  document.title = `${state.place.name || state.place.id} · Skyblend`;
  byId("unit").textContent = temperatureUnit();
  byId("updated").textContent = `read ${clock(state.read)}`;
  showSummary(allDays, now);
  tell(byId("note"), ...noteOf(main, now));
  showChart();
  byId("days-section").hidden = !showDays(byId("days"), allDays, now);
  showSkill(state.skill, state.place);
  showSources(main, state.missing);
  showFooter(main);
}

function showSummary(allDays, now) {
  byId("place-name").textContent = state.place.name || state.place.id;
  byId("where").textContent = position(state.place);
  const { hourly } = state;
  const i = hourly ? nearest(hourly.time, now) : -1;
  const current = hourly && Math.abs(hourly.time[i] - now) < 3 * 3600;
  byId("now-value").textContent = current ? degrees(hourly.quantiles.p50[i]) : "";
  byId("now-range").textContent = current ? `now, 80 %: ${range(hourly.quantiles.p10[i], hourly.quantiles.p90[i])}` : "";
  byId("sentence").textContent = sentence(allDays, hourly ?? { time: [] }, now);
}

/** What a reader must know before trusting it. */
function noteOf(series, now) {
  const runs = series.members.map(({ issued_at: issued }) => issued);
  const newest = runs.length ? runs.reduce((a, b) => (a > b ? a : b)) : null;
  return [
    series.note ? `Note: ${series.note}.`.replace("..", ".") : null,
    newest && isOld(newest, now) && !series.note.includes("no fresh source") ? `The newest source is of ${age(seconds(newest), now)}: nothing fresh has come since.` : null,
    series.model ? null : "No model is trained for this yet: the band is a default spread around the mean of the sources, not a calibrated one.",
  ];
}

function showChart() {
  const section = byId("chart").closest("section");
  section.hidden = !state.hourly;
  if (section.hidden) return;
  segments(byId("spans"), SPANS, state.span, (span) => {
    state.span = span;
    showChart();
  });
  chart.show(state.hourly, state.span);
}

function showFooter({ simulated, members }) {
  const open = !simulated && members.some(({ name }) => name.startsWith("open_meteo"));
  byId("credit").replaceChildren(...(open ? ["Weather data by ", make("a", { href: "https://open-meteo.com/", rel: "noreferrer" }, "Open-Meteo.com"), " (CC BY 4.0) and the national weather services behind it."] : []));
  const { latitude, longitude } = state.place;
  const path = `/v1/forecast?${new URLSearchParams({ latitude, longitude, hourly: "temperature_2m", daily: "temperature_2m_max,temperature_2m_min" })}`.replaceAll("%2C", ",");
  byId("api").replaceChildren(...(latitude === null ? [] : ["As data: ", make("a", { href: path }, path)]));
}

/** In place of a forecast; gives false. */
function empty(content) {
  byId("content").hidden = true;
  byId("empty").hidden = false;
  byId("empty").replaceChildren(...content);
  return false;
}

const noPlaces = () => [make("h2", {}, "No places yet"), make("p", {}, "Add the first one, and its forecast appears here."),
  make("code", {}, "skyblend places add Berlin --lat 52.52 --lon 13.41 --collect")];

const noForecast = () => [make("div", { class: "pulse", "aria-hidden": "true" }), make("h2", {}, `The first forecast for ${state.place.name || state.place.id} is on its way`),
  make("p", {}, state.place.collect ? "The sources are being asked; this takes some seconds." : "Nothing is collected for this place: it is forecast from what is uploaded.")];

function fail(problem) {
  const since = state.read ? ` Shown is what was read at ${clock(state.read)}.` : "";
  tell(byId("trouble"), problem.status ? `Skyblend has trouble: ${problem.message}.${since} Trying again.` : `Skyblend does not answer.${since} Trying again.`);
}

byId("unit").addEventListener("click", () => {
  switchUnit();
  if (state.read) show();
});
addEventListener("hashchange", refresh);
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refresh()));
refresh();
