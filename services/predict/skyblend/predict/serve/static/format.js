// Numbers, times and names as people read them. Missing stays missing: a dash, never 0.

const KEY = "skyblend-unit";
export const DASH = "–";

let unit = stored();

function stored() {
  try {
    return localStorage.getItem(KEY) === "F" ? "F" : "C";
  } catch {  // storage is switched off
    return "C";
  }
}

export const temperatureUnit = () => `°${unit}`;

/** Switch between degrees Celsius and Fahrenheit. */
export function switchUnit() {
  unit = unit === "C" ? "F" : "C";
  try {
    localStorage.setItem(KEY, unit);
  } catch {  // it is not remembered, then
    return;
  }
}

export const isMissing = (value) => value === null || value === undefined || !Number.isFinite(value);

/** degC in the unit that is shown. */
export const shown = (celsius) => (isMissing(celsius) ? null : unit === "C" ? celsius : celsius * 1.8 + 32);

/** A difference of temperatures in the unit that is shown. */
export const shownDifference = (kelvin) => (isMissing(kelvin) ? null : unit === "C" ? kelvin : kelvin * 1.8);

const minus = (text) => text.replace(/^-(?=0([.]0+)?$)/, "").replace("-", "−");

export const degrees = (celsius, digits = 0) =>
  isMissing(celsius) ? DASH : `${minus(shown(celsius).toFixed(digits))}°`;

export const difference = (kelvin, digits = 1) =>
  isMissing(kelvin) ? DASH : minus(shownDifference(kelvin).toFixed(digits));

/** "3 to 7°" of two temperatures; one number where they round to the same. */
export function range(low, high) {
  if (isMissing(low) || isMissing(high)) return DASH;
  const [from, to] = [degrees(low), degrees(high)];
  return from === to ? to : `${from.slice(0, -1)} to ${to}`;
}

const format = (options) => new Intl.DateTimeFormat(undefined, options);
const CLOCK = format({ hour: "2-digit", minute: "2-digit" });
const MOMENT = format({ weekday: "short", hour: "2-digit", minute: "2-digit" });
const WEEKDAY = format({ weekday: "long" });
const SHORT_WEEKDAY = format({ weekday: "short" });
const HOUR = format({ hour: "numeric" });
const DATE = format({ day: "numeric", month: "short" });

const date = (seconds) => new Date(seconds * 1000);
export const clock = (seconds) => CLOCK.format(date(seconds));
export const moment = (seconds) => MOMENT.format(date(seconds));
export const weekday = (seconds) => WEEKDAY.format(date(seconds));
export const shortWeekday = (seconds) => SHORT_WEEKDAY.format(date(seconds));
export const dayOfMonth = (seconds) => date(seconds).getDate();
export const dayAndMonth = (seconds) => DATE.format(date(seconds));

/** "6 PM" or "18:00", as the browser's language has it. */
export const hourMark = (seconds) => (HOUR.resolvedOptions().hour12 ? HOUR.format(date(seconds)) : `${date(seconds).getHours()}:00`);

export const seconds = (iso) => Date.parse(iso) / 1000;

/** Whole days between two times, by the calendar of the browser. */
export function daysBetween(from, to) {
  const midnight = (time) => date(time).setHours(0, 0, 0, 0);
  return Math.round((midnight(to) - midnight(from)) / 86400000);
}

/** How long ago, roughly. */
export function age(from, now) {
  const minutes = Math.max(0, Math.round((now - from) / 60));
  if (minutes < 2) return "just now";
  if (minutes < 90) return `${minutes} min ago`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h ago` : `${Math.round(hours / 24)} days ago`;
}

// Model of a forecaster -> what people call it; others are shown by their own name.
const NAMES = {
  best_match: "Open-Meteo best match",
  ecmwf_ifs: "ECMWF IFS", ecmwf_ifs04: "ECMWF IFS", ecmwf_ifs025: "ECMWF IFS", ecmwf_aifs025_single: "ECMWF AIFS",
  gfs_seamless: "NOAA GFS", gfs_global: "NOAA GFS", ncep_gfs_seamless: "NOAA GFS", ncep_gfs_global: "NOAA GFS",
  gfs_hrrr: "NOAA HRRR", ncep_hrrr_conus: "NOAA HRRR", ncep_nbm_conus: "NOAA NBM",
  icon_seamless: "DWD ICON", icon_global: "DWD ICON", icon_eu: "DWD ICON-EU", icon_d2: "DWD ICON-D2", dwd_icon_seamless: "DWD ICON",
  gem_seamless: "GEM Canada", gem_global: "GEM Canada", cmc_gem_seamless: "GEM Canada",
  meteofrance_seamless: "Météo-France", jma_seamless: "JMA", kma_seamless: "KMA", cma_grapes_global: "CMA GRAPES",
  ukmo_seamless: "UK Met Office", ukmo_global_deterministic_10km: "UK Met Office",
  metno_seamless: "MET Norway", knmi_seamless: "KNMI", dmi_seamless: "DMI", bom_access_global: "BOM ACCESS",
};
const SOURCES = { nws_scs: "NWS bulletins", open_meteo: "Open-Meteo", tidy: "Own files" };

/** "ECMWF IFS" for "open_meteo/ecmwf_ifs025". */
export function forecaster(name) {
  const [source, model] = name.split("/", 2);
  return model ? NAMES[model] ?? model.replaceAll("_", " ") : SOURCES[source] ?? source.replaceAll("_", " ");
}
