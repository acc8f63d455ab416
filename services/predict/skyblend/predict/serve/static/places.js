// The list of places and its search box.

import { byId, make } from "./dom.js";

const fold = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

/** "52.52° N, 13.41° E, 38 m" as far as it is known. */
export function position({ latitude, longitude, elevation }) {
  if (latitude === null || longitude === null) return "position unknown";
  const degrees = (value, [plus, minus]) => `${Math.abs(value).toFixed(2)}° ${value < 0 ? minus : plus}`;
  const height = elevation === null ? "" : `, ${Math.round(elevation)} m`;
  return `${degrees(latitude, "NS")}, ${degrees(longitude, "EW")}${height}`;
}

/** The list; `choose` gets the id that was chosen. */
export class Places {
  #places = []; #chosen = null; #choose; #search = byId("search"); #list = byId("places");

  constructor(choose) {
    this.#choose = choose;
    this.#search.addEventListener("input", () => this.#draw());
    this.#search.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.#list.querySelector("button")?.click();
      if (event.key === "ArrowDown") this.#list.querySelector("button")?.focus();
    });
    this.#list.addEventListener("keydown", (event) => this.#move(event));
  }

  /** Show these places, one of them chosen. */
  show(places, chosen) {
    const same = JSON.stringify([places.map(({ id, name }) => [id, name]), chosen]) === JSON.stringify([this.#places.map(({ id, name }) => [id, name]), this.#chosen]);
    [this.#places, this.#chosen] = [places, chosen];
    if (!same) this.#draw();
  }

  #draw() {
    const wanted = fold(this.#search.value.trim());
    const found = this.#places.filter(({ id, name }) => fold(`${name ?? ""} ${id}`).includes(wanted));
    const focused = this.#list.contains(document.activeElement) ? document.activeElement.dataset.id : null;
    this.#list.replaceChildren(...found.map((place) => this.#entry(place)));
    if (focused !== null) this.#list.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
    byId("places-none").hidden = found.length > 0 || !this.#places.length;
    this.#search.hidden = !this.#places.length;
  }

  #entry(place) {
    return make("li", {}, make("button", { type: "button", "data-id": place.id, "aria-current": place.id === this.#chosen && "true", click: () => this.#choose(place.id) },
      make("span", {}, place.name || place.id), make("small", {}, position(place))));
  }

  #move(event) {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const buttons = [...this.#list.querySelectorAll("button")];
    const next = buttons.indexOf(document.activeElement) + step;
    (next < 0 ? this.#search : buttons[Math.min(next, buttons.length - 1)]).focus();
  }
}
