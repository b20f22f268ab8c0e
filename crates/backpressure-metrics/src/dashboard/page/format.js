// Numbers as people read them, and elements by the shortest way. Text goes in as text, never as markup.
const $ = (id) => document.getElementById(id);
const NONE = "–";
const STATES = ["normal", "elevated", "critical", "blocked", "draining", "ended"];
const UNKNOWN = "unknown";
const WORDS = { normal: "Normal", elevated: "Elevated", critical: "Critical", blocked: "Blocked", draining: "Draining", ended: "Ended", unknown: "No numbers yet" };

function el(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (key in made && key !== "list") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function sign(state) {
  const use = svg("use", { href: `#sign-${state}` });
  return svg("svg", { class: "sign", "aria-hidden": "true" }, use);
}

// Writes only what differs, so that nothing is laid out, or read aloud, in vain.
function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
function mark(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

// `db` becomes a name in bold; the rest stays text.
function sentence(element, text) {
  if (element.dataset.text === text) return;
  element.dataset.text = text;
  element.replaceChildren(...text.split("`").map((piece, i) => (i % 2 ? el("b", {}, piece) : piece)));
}

function count(value) {
  if (value == null) return NONE;
  if (value < 10 && value % 1) return value.toFixed(1);
  if (value < 10_000) return Math.round(value).toLocaleString("en").replaceAll(",", "\u2009");
  for (const [size, unit] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (value >= size) return `${(value / size).toPrecision(3)}\u2009${unit}`;
  }
}
const whole = (value) => (value == null ? NONE : Math.round(value).toLocaleString("en").replaceAll(",", "\u2009"));
const rate = (value) => (value == null ? NONE : `${count(value)}/s`);
const percent = (value) => (value == null ? NONE : `${Math.round(value * 100)}\u2009%`);
function seconds(value) {
  if (value == null) return NONE;
  if (value < 1e-3) return `${Math.round(value * 1e6)}\u2009µs`;
  if (value < 1) return `${+(value * 1e3).toPrecision(3)}\u2009ms`;
  return `${+value.toPrecision(3)}\u2009s`;
}
function ago(span) {
  if (span < 1) return "now";
  const minutes = Math.floor(span / 60);
  return `${minutes ? `${minutes} min ` : ""}${Math.round(span % 60)} s ago`;
}
