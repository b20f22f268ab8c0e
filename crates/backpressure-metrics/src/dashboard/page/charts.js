// Lines, bands and the heat map.
const WIDTH = 300;

// The outline and the area of `values`, between 0 and `most`; a gap where nothing is known.
function outline(values, most, height) {
  const step = WIDTH / values.length;
  const y = (value) => (height - 1 - (Math.min(value, most) / most) * (height - 3)).toFixed(1);
  let line = "", area = "", open = null;
  const shut = (i) => {
    if (open != null) area += `L${(i * step).toFixed(1)} ${height}L${open} ${height}Z`;
    open = null;
  };
  values.forEach((value, i) => {
    if (value == null) return shut(i);
    const from = (i * step).toFixed(1), at = y(value);
    const here = open == null ? `M${from} ${at}` : `L${from} ${at}`;
    if (open == null) open = from;
    line += here;
    area += here;
    if (values[i + 1] == null) {
      const end = `L${((i + 1) * step).toFixed(1)} ${at}`;
      line += end;
      area += end;
    }
  });
  shut(values.length);
  return { line, area };
}

const peak = (values) => values.reduce((most, value) => Math.max(most, value ?? 0), 0);
// A round number that is not below `value`: 1, 2 or 5 times a power of ten.
function ceiling(value, least = 1) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, least)));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= Math.max(value, least) * 0.999);
}

// A drawing of one or two series. `draw` sets what it shows.
class Spark {
  constructor(height, second = false) {
    this.height = height;
    this.area = svg("path", { class: "area" });
    this.stroke = svg("path", { class: "stroke" });
    this.band = svg("g", { class: "band" });
    this.cursor = svg("path", { class: "cursor" });
    this.second = second && svg("path", { class: "stroke second" });
    const grid = svg("path", { class: "grid", d: `M0 ${height / 2}H${WIDTH}` });
    const children = [grid, this.area, this.stroke, ...(second ? [this.second] : []), this.band, this.cursor];
    this.root = svg("svg", { class: "spark", viewBox: `0 0 ${WIDTH} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" }, ...children);
  }

  draw(values, most, { second, states, at } = {}) {
    const height = this.height - (states ? 5 : 0);
    const { line, area } = outline(values, most, height);
    this.area.setAttribute("d", area);
    this.stroke.setAttribute("d", line);
    if (this.second) this.second.setAttribute("d", outline(second, most, height).line);
    if (states) this.paint(states);
    const x = at == null ? null : ((at + 0.5) / values.length) * WIDTH;
    this.cursor.setAttribute("d", x == null ? "" : `M${x} 0V${this.height}`);
  }

  // The states as a ribbon at the foot, one piece for each run.
  paint(states) {
    const step = WIDTH / states.length;
    const runs = [];
    states.forEach((state, i) => {
      const last = runs.at(-1);
      if (last?.state === state) last.end = i + 1;
      else if (state != null) runs.push({ state, start: i, end: i + 1 });
      else runs.push({ state: null });
    });
    const pieces = runs.filter((run) => run.state != null);
    while (this.band.childElementCount > pieces.length) this.band.lastChild.remove();
    while (this.band.childElementCount < pieces.length) this.band.append(svg("rect", { y: this.height - 4, height: 4 }));
    pieces.forEach((run, i) => {
      const piece = this.band.children[i];
      mark(piece, "x", String(run.start * step));
      mark(piece, "width", String((run.end - run.start) * step));
      mark(piece, "fill", `var(--${STATES[run.state] ?? UNKNOWN})`);
    });
  }
}

function colour(name, element) {
  element.style.color = `var(${name})`;
  const [r, g, b] = getComputedStyle(element).color.match(/[\d.]+/g).map(Number);
  element.style.color = "";
  return [r, g, b];
}

// One column for a stretch of time, one row for a bucket, darker for more. Answers the rows shown, slowest first.
function heat(canvas, columns, bounds) {
  let lowest = bounds.length, highest = 0;
  let most = 1;
  for (const column of columns) {
    column?.forEach((n, bucket) => {
      if (!n) return;
      lowest = Math.min(lowest, bucket);
      highest = Math.max(highest, bucket);
      most = Math.max(most, n);
    });
  }
  if (lowest > highest) return null;
  const first = Math.max(0, lowest - 1), last = Math.min(bounds.length, highest + 1);
  const rows = last - first + 1;
  canvas.width = columns.length;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(columns.length, rows);
  const low = colour("--faint", canvas), high = colour("--accent", canvas);
  columns.forEach((column, x) => {
    for (let row = 0; row < rows; row++) {
      const n = column?.[last - row];
      if (!n) continue;
      const share = 0.25 + 0.75 * (Math.log(n + 1) / Math.log(most + 1));
      const at = 4 * (row * columns.length + x);
      for (let i = 0; i < 3; i++) pixels.data[at + i] = low[i] + (high[i] - low[i]) * share;
      pixels.data[at + 3] = 255;
    }
  });
  context.putImageData(pixels, 0, 0);
  return { first, last, rows, most };
}
