// The wire, the verdict, and what the buttons do.
const model = new Model();
const graph = new Graph($("graph"), (index) => choose(index));
const parts = new Parts($("parts"), (index) => choose(index));
const detail = new Detail($("detail"));
let chosen = null; // by name, once somebody has chosen
let selected = 0;
let heard = 0;
let events = null;
let announced = "";

function choose(index) {
  chosen = model.parts[index].name;
  select(index);
}

function select(index) {
  if (detail.part !== model.parts[index]) {
    selected = index;
    detail.build(model, model.parts[index]);
  }
  draw();
}

// Until somebody chooses, the bottleneck is shown.
function preferred() {
  const known = model.parts.findIndex((part) => part.name === chosen);
  return known >= 0 ? known : (model.neck ?? Math.min(selected, model.parts.length - 1));
}

function draw() {
  put($("parts-hint"), `fill, last ${model.minutes} minutes`);
  verdict();
  graph.update(selected);
  parts.update(selected);
  if (detail.part) detail.update();
}

function verdict() {
  const { sentence: text, left_out: out } = model.now;
  const neck = model.parts[model.neck];
  const worst = model.parts.map((part) => model.state(part)).filter((state) => state !== "ended" && state !== UNKNOWN);
  const state = worst.sort((a, b) => STATES.indexOf(b) - STATES.indexOf(a))[0] ?? UNKNOWN;
  // The shares of time are those of the last seconds: a bottleneck may outlast the states for a moment.
  const shown = neck && state === "normal" ? "elevated" : state;
  mark($("hero"), "data-state", shown);
  mark($("verdict-sign"), "href", `#sign-${shown}`);
  put($("verdict-kind"), neck ? "Bottleneck" : "No bottleneck");
  sentence($("verdict"), text);
  const { in: come, out: gone, lost } = model.totals();
  const total = (name, value, bad) => el("div", bad ? { className: "bad" } : {}, el("dt", {}, name), el("dd", { className: "num" }, count(value), el("small", {}, value == null ? "" : " /s")));
  $("totals").replaceChildren(total("In", come), total("Out", gone), total("Lost", lost, lost > 0));
  // Read aloud only when something else is the matter, not each time that a percentage moves.
  const matter = `${neck?.name}:${state}`;
  if (matter !== announced) {
    announced = matter;
    put($("announce"), `${WORDS[state]}. ${text.replaceAll("`", "")}`);
  }
  put($("more"), out ? `${whole(out)} more parts are not shown.` : "");
  document.title = `${neck ? `${neck.name} is the bottleneck` : WORDS[state]} · Pressure`;
}

function link(state, text) {
  $("app").dataset.link = state;
  put($("link"), text);
}

function opened(event) {
  model.whole(JSON.parse(event.data));
  arrived();
  graph.build(model);
  parts.build(model);
  if (!model.parts.length) return nothing();
  detail.root.hidden = false;
  detail.part = null;
  select(preferred());
}

function nothing() {
  detail.root.hidden = true;
  put($("verdict-kind"), "No parts");
  sentence($("verdict"), "Nothing is registered yet.");
}

function tick(event) {
  if (!model.tick(JSON.parse(event.data))) return;
  arrived();
  if (!model.parts.length) return;
  const index = preferred();
  if (index !== selected) select(index);
  else draw();
}

function arrived() {
  heard = performance.now();
  link("live", "Live");
}

function connect() {
  // The page may be mounted anywhere, with or without a slash at the end.
  events = new EventSource(`${location.pathname.replace(/\/*$/, "")}/events`);
  events.addEventListener("whole", opened);
  events.addEventListener("tick", tick);
}

$("pause").addEventListener("click", () => {
  const paused = $("pause").getAttribute("aria-pressed") === "true";
  mark($("pause"), "aria-pressed", String(!paused));
  put($("pause"), paused ? "Pause" : "Resume");
  if (paused) return connect();
  events.close();
  link("paused", "Paused");
});

const THEMES = ["system", "dark", "light"];
const SIGNS = { system: "◐ Auto", dark: "● Dark", light: "○ Light" };
function theme(name) {
  document.documentElement.dataset.theme = name;
  put($("theme"), SIGNS[name]);
  mark($("theme"), "aria-label", `Theme: ${name}`);
  if (detail.part) detail.update();
}
$("theme").addEventListener("click", () => {
  const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
  theme(next);
  try { localStorage.setItem("backpressure-theme", next); } catch { /* Not everybody may store something. */ }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => theme(document.documentElement.dataset.theme));

// What is old is never shown as if it were new.
setInterval(() => {
  if ($("app").dataset.link === "paused") return;
  const silence = (performance.now() - heard) / 1000;
  if (heard && silence > 3.5) link("lost", `No numbers for ${Math.round(silence)} s`);
  if (events.readyState === EventSource.CLOSED) { events.close(); connect(); }
}, 1000);

new ResizeObserver(() => model.parts && graph.arrange()).observe($("graph-scroll"));
let kept = null;
try { kept = localStorage.getItem("backpressure-theme"); } catch { /* As above. */ }
theme(THEMES.includes(kept) ? kept : "system");
connect();
