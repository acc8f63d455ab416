// Elements are made from text, never from markup: what a provider or a place is called stays text.

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** A new element; `properties` are attributes, `children` elements or text, null ones are left out. */
export function make(name, properties = {}, ...children) {
  return filled(document.createElement(name), properties, children);
}

/** A new SVG element. */
export function draw(name, properties = {}, ...children) {
  return filled(document.createElementNS(SVG, name), properties, children);
}

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null));
  return element;
}

/** Show text in an element, or hide it where there is none. */
export function tell(element, ...paragraphs) {
  const said = paragraphs.filter(Boolean);
  element.hidden = !said.length;
  if (element.textContent !== said.join("")) element.replaceChildren(...said.map((text) => make("p", {}, text)));
}

/** A group of buttons of which one is pressed; keeps the focus when it is made anew. */
export function segments(group, choices, chosen, choose) {
  const focused = group.contains(document.activeElement) ? document.activeElement.dataset.value : null;
  group.replaceChildren(...choices.map(([value, label]) =>
    make("button", { type: "button", "data-value": value, "aria-pressed": String(value === chosen), click: () => choose(value) }, label)));
  if (focused !== null) group.querySelector(`[data-value="${CSS.escape(focused)}"]`)?.focus();
}
