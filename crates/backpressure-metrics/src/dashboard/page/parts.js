// The list of parts, each with its fill and its states over ten minutes.
class Parts {
  constructor(root, choose) {
    this.root = root;
    this.choose = choose;
    this.rows = [];
    root.addEventListener("keydown", (event) => this.walk(event));
  }

  build(model) {
    this.model = model;
    const had = this.root.contains(document.activeElement);
    this.rows = model.parts.map((part) => this.row(part));
    this.root.replaceChildren(...this.rows.map((row) => row.root));
    this.focus = had;
  }

  row(part) {
    const row = { part, sign: sign(UNKNOWN), sub: el("span", { className: "sub" }), value: el("span", { className: "value num" }), spark: new Spark(34) };
    const name = el("span", { className: "name", title: part.name }, part.name);
    row.root = el("div", { className: "part", role: "option", tabIndex: -1, id: `part-${part.index}` },
      row.sign, el("div", {}, el("div", { className: "name" }, name), row.sub), row.spark.root, row.value);
    row.root.addEventListener("click", () => this.choose(part.index));
    return row;
  }

  update(selected) {
    for (const row of this.rows) {
      const { part } = row, { now } = part;
      const state = this.model.state(part);
      mark(row.root, "data-state", state);
      mark(row.sign.firstChild, "href", `#sign-${state}`);
      put(row.sub, `${WORDS[state]} · ${rate(now.out)}`);
      put(row.value, percent(now.fill));
      row.spark.root.style.setProperty("--series", "var(--tone)");
      const [fill, states] = [part.series.fill, part.series.state].map((values) => values.slice(-this.model.shown));
      row.spark.draw(fill, 1, { states });
      mark(row.root, "aria-selected", String(part.index === selected));
      row.root.tabIndex = part.index === selected ? 0 : -1;
      mark(row.root, "aria-label", `${part.name}: ${WORDS[state]}, fill ${percent(now.fill)}, ${rate(now.out)} out`);
    }
    if (this.focus) this.rows[selected]?.root.focus({ preventScroll: true });
    this.focus = false;
  }

  walk(event) {
    const at = this.rows.findIndex((row) => row.root === document.activeElement);
    const last = this.rows.length - 1;
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: last }[event.key];
    if (at < 0 || to == null || !this.rows[to]) return;
    event.preventDefault();
    this.choose(to);
    this.rows[to].root.focus();
  }
}
