// What is known: the parts, ten minutes of columns for each, and the newest frame.
const LEAST_SHOWN = 60;
const FIELDS = ["fill", "in", "out", "lost", "state", "busy", "blocked", "limit", "load"];

class Model {
  // The whole, as a page gets it when it opens, and when the parts have changed.
  whole(data) {
    this.columns = data.columns;
    this.span = data.column_ms / 1000;
    this.newest = data.tick.column;
    this.known = Math.max(0, ...data.parts.map((part) => part.series[0].length));
    this.parts = data.parts.map((part, index) => ({ ...part, index, series: this.align(part), heat: this.heated(part) }));
    this.upstream = this.parts.map((_, index) => this.parts.filter((part) => part.feeds.includes(index)));
    this.bounds = data.bounds;
    this.generation = data.generation;
    this.take(data.tick);
  }

  // One more second. False if it tells of parts that this page has not heard of.
  tick(data) {
    if (data.generation !== this.generation) return false;
    this.shift(data.column - this.newest);
    this.newest = data.column;
    this.take(data);
    return true;
  }

  take(tick) {
    this.now = tick;
    const last = this.columns - 1;
    tick.parts.forEach((now, index) => {
      const part = this.parts[index];
      part.now = now;
      if (!now.open) return;
      FIELDS.forEach((field, i) => (part.series[field][last] = now.open[i]));
      if (now.heat) (part.heat ??= Array(this.columns).fill(null))[last] = now.heat;
    });
  }

  align(part) {
    const series = {};
    FIELDS.forEach((field, i) => {
      const known = part.series[i] ?? [];
      series[field] = [...Array(this.columns - known.length).fill(null), ...known];
    });
    return series;
  }

  heated(part) {
    return part.heat && [...Array(this.columns - part.heat.length).fill(null), ...part.heat];
  }

  shift(by) {
    if (by <= 0) return;
    this.known = Math.min(this.known + by, this.columns);
    const blank = Array(Math.min(by, this.columns)).fill(null);
    for (const part of this.parts) {
      for (const values of [...Object.values(part.series), ...(part.heat ? [part.heat] : [])]) {
        values.splice(0, blank.length);
        values.push(...blank);
      }
    }
  }

  // How many columns are drawn: all of them once there is something to see in them.
  get shown() {
    return Math.min(this.columns, Math.max(LEAST_SHOWN, this.known));
  }

  get minutes() {
    return Math.round((this.shown * this.span) / 60);
  }

  get neck() {
    return this.now.bottleneck;
  }

  state(part) {
    return part.now.ended ? "ended" : (STATES[part.now.state] ?? UNKNOWN);
  }

  // How far the world outside is served: what comes in at the sources, and goes out at the ends.
  totals() {
    const sum = (parts, field) => parts.reduce((all, part) => (part.now[field] == null ? all : (all ?? 0) + part.now[field]), null);
    const sources = this.parts.filter((part) => !this.upstream[part.index].length);
    const ends = this.parts.filter((part) => !part.feeds.length);
    return { in: sum(sources, "in"), out: sum(ends, "out"), lost: sum(this.parts, "lost") };
  }
}
