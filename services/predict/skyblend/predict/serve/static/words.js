// The forecast as plain sentences.

import { dayAndMonth, daysBetween, degrees, difference, isMissing, range, shownDifference, temperatureUnit, weekday } from "./format.js";

const DAY = 86400;
const SURE = 2.5, UNSURE = 6;  // K between p10 and p90

/** Index of the time nearest to `now`. */
export function nearest(times, now) {
  return times.reduce((best, time, i) => (Math.abs(time - now) < Math.abs(times[best] - now) ? i : best), 0);
}

/** The days of the series of highs and lows: by the calendar day at the middle of the period. */
export function days(highs, lows) {
  const found = new Map();
  for (const [kind, series] of [["high", highs], ["low", lows]]) {
    for (let i = 0; series && i < series.time.length; i += 1) {
      const middle = series.time[i] - (series.period ?? DAY) / 2;
      const day = new Date(middle * 1000).setHours(12, 0, 0, 0) / 1000;
      const { p10, p50, p90 } = series.quantiles;
      found.set(day, { day, ...found.get(day), [kind]: { low: p10[i], median: p50[i], high: p90[i] } });
    }
  }
  return [...found.values()].sort((a, b) => a.day - b.day);
}

/** "today", "tomorrow" or the weekday. */
export function nearName(day, now) {
  const ahead = daysBetween(now, day);
  return ahead === 0 ? "today" : ahead === 1 ? "tomorrow" : weekday(day);
}

/** As `nearName`, with the date where the weekday alone could be this week's. */
const dayName = (day, now) => (daysBetween(now, day) > 6 ? `${weekday(day)}, ${dayAndMonth(day)},` : nearName(day, now));

/** One or two sentences: what comes, how it changes, how sure that is. */
export function sentence(allDays, hourly, now) {
  const coming = allDays.filter(({ day, high }) => high && !isMissing(high.median) && daysBetween(now, day) >= 0);
  const said = [coming.length ? outlook(coming, now) : null, confidence(hourly, now)];
  return said.filter(Boolean).join(" ");
}

function outlook([first, second], now) {
  const start = `${capital(dayName(first.day, now))} up to about ${full(first.high.median)}, ` +
    `most likely ${between(first.high)}`;
  return second ? `${start}; ${dayName(second.day, now)} ${change(second.high.median - first.high.median)}, up to ${degrees(second.high.median)}.` : `${start}.`;
}

const full = (celsius) => degrees(celsius).replace("°", ` ${temperatureUnit()}`);

function between({ low, high }) {
  const text = range(low, high);
  return text.includes(" to ") ? `between ${text.replace(" to ", " and ")}` : `close to ${text}`;
}

function change(kelvin) {
  if (Math.abs(kelvin) < 1) return "much the same";
  const word = kelvin > 0 ? "warmer" : "colder";
  return Math.abs(kelvin) > 5 ? `a lot ${word}` : word;
}

/** How sure the next day is, and from when on it no longer is. */
function confidence(hourly, now) {
  const width = hourly.time.map((time, i) => (time < now ? null : hourly.quantiles.p90[i] - hourly.quantiles.p10[i]));
  const next = width.filter((value, i) => value !== null && hourly.time[i] < now + DAY);
  if (!next.length) return null;
  const typical = next.reduce((sum, value) => sum + value, 0) / next.length;
  const within = `within about ±${difference(typical / 2, shownDifference(typical) < 4 ? 1 : 0)}°`;
  const start = typical < SURE ? `The next day is fairly sure, ${within}` : typical < UNSURE ? `The next day is known ${within}` : `Even the next day is uncertain, ${within}`;
  const late = width.findIndex((value, i) => value !== null && value > UNSURE && hourly.time[i] > now + DAY);
  return typical < UNSURE && late > 0 ? `${start}; from ${dayName(hourly.time[late], now)} on it is far less certain.` : `${start}.`;
}

export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
