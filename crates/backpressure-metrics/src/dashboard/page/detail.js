// Everything about the part that is chosen.
const FATES = [["delivered", "delivered"], ["rejected", "rejected, handed back"], ["dropped", "dropped"], ["evicted", "evicted"], ["failed", "failed"], ["queued", "queued now"], ["in_flight", "in flight now"]];
const BAD = new Set(["dropped", "evicted", "failed"]);
const CHARTS = [["fill", "Fill", percent], ["in", "In", rate], ["out", "Out", rate], ["lost", "Lost", rate]];

class Detail {
  constructor(root) {
    this.root = root;
    this.at = null;
  }

  build(model, part) {
    this.model = model;
    this.part = part;
    this.at = null;
    this.name = el("h2", { id: "detail-name", className: "name" }, part.name);
    this.sign = sign(UNKNOWN);
    this.word = el("span", { className: "word" });
    this.meta = el("span", { className: "meta num" });
    this.head = el("div", { className: "head" }, this.sign, this.name, this.word, this.meta);
    this.charts = CHARTS.map(([field, title, form]) => this.chart(field, title, form));
    this.root.replaceChildren(this.head, this.time(), el("div", { className: "charts" }, ...this.charts.map((chart) => chart.root)), this.scrubber(), this.blocks());
  }

  // Busy, idle, blocked.
  time() {
    this.shares = new Shares();
    this.shareValues = {};
    const item = (kind, text) => el("li", {}, el("i", { className: `share ${kind}` }), `${text} `, (this.shareValues[kind] = el("b", { className: "num" })));
    this.timeRoot = el("div", { className: "time" }, this.shares.root, el("ul", {}, item("busy", "busy"), item("idle", "waits for input"), item("blocked", "blocked")));
    return this.timeRoot;
  }

  chart(field, title, form) {
    const chart = { field, form, title, spark: new Spark(68), value: el("b", { className: "num" }), top: el("span", { className: "top-mark num" }) };
    chart.plot = el("div", { className: "plot", role: "img" }, chart.spark.root, chart.top);
    chart.root = el("div", { className: "chart" }, el("h3", {}, title, chart.value), chart.plot);
    this.pointed(chart.plot);
    return chart;
  }

  // A pointer over a drawing moves the common cursor, as the slider does.
  pointed(plot) {
    const move = (event) => {
      const box = plot.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      this.seek(Math.max(0, Math.min(this.model.shown - 1, Math.floor(share * this.model.shown))));
    };
    plot.addEventListener("pointermove", move);
    plot.addEventListener("pointerdown", move);
    plot.addEventListener("pointerleave", () => this.seek(this.model.shown - 1));
  }

  scrubber() {
    const last = this.model.shown - 1;
    this.slider = el("input", { type: "range", min: 0, max: last, step: 1, value: last, id: "when" });
    this.slider.setAttribute("aria-label", "Look back in time");
    this.slider.addEventListener("input", () => this.seek(+this.slider.value));
    this.when = el("output", { className: "num" });
    this.when.setAttribute("for", "when");
    return el("div", { className: "scrub" }, this.when, this.slider);
  }

  seek(column) {
    this.at = column >= this.model.shown - 1 ? null : this.model.shown - 1 - column;
    this.slider.value = column;
    this.update();
  }

  blocks() {
    this.canvas = el("canvas", { role: "img" });
    this.ticks = el("div", { className: "ticks", "aria-hidden": "true" });
    this.quantiles = el("span", { className: "num" });
    const scale = el("span", { className: "scale", "aria-hidden": "true" }, "few", el("i"), "many");
    const axis = el("div", { className: "axis" }, (this.since = el("span")), el("span", {}, "now"));
    this.heat = el("div", { className: "block wide" }, el("h3", {}, "Latency", this.quantiles, scale), el("div", { className: "heat" }, this.ticks, this.canvas, axis));

    this.book = el("tbody");
    this.balance = el("p", { className: "balance" });
    this.received = el("td", { className: "num" });
    this.fates = FATES.map(([key, text]) => ({ key, cell: el("td", { className: "num" }), text }));
    this.fates.forEach((fate) => (fate.root = el("tr", {}, el("th", { scope: "row" }, fate.text), fate.cell)));
    this.book.append(el("tr", { className: "sum" }, el("th", { scope: "row" }, "received"), this.received), ...this.fates.map((fate) => fate.root));
    this.ledger = el("div", { className: "block" }, el("h3", {}, "Ledger"), el("table", { className: "book" }, this.book), this.balance);

    this.drops = el("ul", { className: "bars" });
    this.noDrops = el("p", { className: "none" }, "Nothing was lost.");
    this.dropped = el("div", { className: "block" }, el("h3", {}, "Lost, by reason"), this.drops, this.noDrops);

    this.extraRows = el("tbody");
    this.extras = el("div", { className: "block" }, el("h3", {}, "Its own numbers"), el("table", { className: "book" }, this.extraRows));

    this.limitValue = el("b", { className: "num" });
    this.limitTop = el("span", { className: "top-mark num" });
    this.limitSpark = new Spark(68, true);
    this.limitPlot = el("div", { className: "plot", role: "img" }, this.limitSpark.root, this.limitTop);
    this.pointed(this.limitPlot);
    const key = el("span", { className: "chart-key", "aria-hidden": "true" }, el("span", {}, "load"), el("span", {}, "limit"));
    this.limit = el("div", { className: "block wide chart" }, el("h3", {}, "Load under its limit", key, this.limitValue), this.limitPlot);
    return el("div", { className: "blocks" }, this.heat, this.limit, this.ledger, this.dropped, this.extras);
  }

  update() {
    const { part, model } = this, { now } = part;
    const series = this.series();
    const last = model.shown - 1, at = this.at == null ? null : Math.max(0, last - this.at);
    mark(this.slider, "max", String(last));
    this.slider.value = at ?? last;
    put(this.since, `${model.minutes} min ago`);
    const state = model.state(part);
    mark(this.root, "data-state", state);
    mark(this.sign.firstChild, "href", `#sign-${state}`);
    put(this.word, WORDS[state]);
    put(this.meta, this.facts(now));
    const then = at == null ? now : { busy: series.busy[at], blocked: series.blocked[at] };
    if (at != null && then.busy != null) then.idle = Math.max(0, 1 - then.busy - then.blocked);
    this.timeRoot.hidden = now.busy == null;
    this.shares.set(then);
    for (const kind of ["busy", "idle", "blocked"]) put(this.shareValues[kind], percent(then[kind]));
    const back = at == null ? "now" : ago((last - at) * model.span);
    put(this.when, back);
    const told = [];
    for (const chart of this.charts) {
      const values = series[chart.field];
      const most = chart.field === "fill" ? 1 : ceiling(peak(values));
      chart.spark.root.style.setProperty("--series", chart.field !== "lost" ? "var(--accent)" : peak(values) ? "var(--blocked)" : "var(--ended)");
      chart.spark.draw(values, most, { at, states: chart.field === "fill" ? series.state : undefined });
      const value = at == null ? now[chart.field] : values[at];
      put(chart.value, chart.form(value));
      put(chart.top, chart.form(most));
      chart.root.classList.toggle("alarm", chart.field === "lost" && value > 0);
      mark(chart.plot, "aria-label", `${chart.title} over the last ${model.minutes} minutes: now ${chart.form(now[chart.field])}, at most ${chart.form(peak(values))}`);
      told.push(`${chart.title} ${chart.form(value)}`);
    }
    mark(this.slider, "aria-valuetext", `${back}: ${told.join(", ")}`);
    this.updateHeat();
    this.updateLimit(series, at);
    this.updateBooks(now.gauge);
    this.updateExtras(now.extras);
  }

  series() {
    const tail = ([field, values]) => [field, values.slice(-this.model.shown)];
    return Object.fromEntries(Object.entries(this.part.series).map(tail));
  }

  facts({ gauge, ended }) {
    if (!gauge || ended) return "";
    const { ledger, capacity } = gauge;
    const facts = [gauge.calls ? `${count(ledger.in_flight)} of ${count(capacity)} calls in flight` : `${count(ledger.queued)} of ${count(capacity)} queued`];
    if (!gauge.calls && ledger.in_flight) facts.push(`${count(ledger.in_flight)} in flight`);
    if (gauge.oldest != null) facts.push(`oldest ${seconds(gauge.oldest)}`);
    if (gauge.waiting) facts.push(gauge.waiting === 1 ? "1 producer waits" : `${count(gauge.waiting)} producers wait`);
    return facts.join(" · ");
  }

  updateHeat() {
    const { part, model: { bounds } } = this;
    const shown = part.heat && heat(this.canvas, part.heat.slice(-this.model.shown), bounds);
    this.heat.hidden = !shown;
    if (!shown) return;
    const { p50, p99 } = part.now.gauge ?? {};
    put(this.quantiles, p50 == null ? "" : `half within ${seconds(p50)}, 99 % within ${seconds(p99)}`);
    mark(this.canvas, "aria-label", `Latency over the last ${this.model.minutes} minutes: now half within ${seconds(p50)}, 99 percent within ${seconds(p99)}`);
    const marks = [];
    const every = Math.ceil(shown.rows / 6);
    for (let bucket = shown.first; bucket < shown.last; bucket++) {
      if ((shown.last - bucket) % every) continue;
      const tick = el("span", {}, seconds(bounds[bucket]));
      tick.style.top = `${((shown.last - bucket) / shown.rows) * 100}%`;
      marks.push(tick);
    }
    this.ticks.replaceChildren(...marks);
  }

  updateBooks(gauge) {
    this.ledger.hidden = this.dropped.hidden = !gauge;
    if (!gauge) return;
    const { ledger, drops } = gauge;
    put(this.received, whole(ledger.received));
    let sum = 0;
    for (const { key, cell, root } of this.fates) {
      put(cell, whole(ledger[key]));
      root.hidden = !ledger[key];
      root.className = BAD.has(key) ? "bad" : "";
      sum += ledger[key];
    }
    const off = ledger.received - sum;
    const zero = this.fates.filter(({ key }) => !ledger[key]).map(({ text }) => text.replace(" now", "").split(",")[0]);
    this.balance.classList.toggle("off", off !== 0);
    this.balance.replaceChildren(el("b", {}, off === 0 ? "✓ It balances" : `✗ Off by ${whole(Math.abs(off))}`), off === 0 ? `: every item has one fate. ${zero.length ? `None ${zero.join(", ")}.` : ""}` : "");
    const reasons = Object.entries(drops ?? {}).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]);
    const most = Math.max(1, ...reasons.map(([, n]) => n));
    this.noDrops.hidden = reasons.length > 0;
    this.drops.replaceChildren(...reasons.map(([reason, n]) => {
      const bar = el("i", { "aria-hidden": "true" });
      bar.style.setProperty("--share", n / most);
      return el("li", {}, el("span", {}, reason.replaceAll("_", " ")), el("span", { className: "num" }, whole(n)), bar);
    }));
  }

  updateExtras(extras) {
    this.extras.hidden = !extras.length;
    const unit = (value, unit) => (unit === "1" ? percent(value) : unit === "s" ? seconds(value) : count(value));
    this.extraRows.replaceChildren(...extras.map((extra) => {
      const name = extra.name.replaceAll(".", " ") + (extra.of ? `: ${extra.of.replaceAll("_", " ")}` : "");
      return el("tr", { title: extra.help }, el("th", { scope: "row" }, name), el("td", { className: "num" }, unit(extra.value, extra.unit)));
    }));
  }

  updateLimit(series, at) {
    const last = this.model.shown - 1;
    const known = at ?? last;
    this.limit.hidden = !this.part.now.gauge?.calls;
    if (this.limit.hidden) return;
    const most = ceiling(Math.max(peak(series.limit), peak(series.load)));
    this.limitSpark.draw(series.load, most, { second: series.limit, at });
    put(this.limitValue, `${count(series.load[known])} of ${count(series.limit[known])}`);
    put(this.limitTop, count(most));
    mark(this.limitPlot, "aria-label", `Load under its limit: now ${count(series.load[last])} of ${count(series.limit[last])}`);
  }
}
