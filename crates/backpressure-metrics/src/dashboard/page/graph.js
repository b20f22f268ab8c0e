// The pipeline as a drawing: buttons for the parts, lines for the links. Where it is too narrow it runs downwards.
const NODE = { width: 176, height: 84 };

class Graph {
  constructor(root, choose) {
    this.root = root;
    this.choose = choose;
    this.nodes = [];
    root.addEventListener("keydown", (event) => this.walk(event));
  }

  build(model) {
    this.model = model;
    this.plan = layers(model.parts);
    const focused = this.nodes.findIndex((node) => node.root === document.activeElement);
    const name = this.nodes[focused]?.part.name;
    this.lines = svg("svg", { "aria-hidden": "true" });
    this.notes = el("div");
    this.nodes = model.parts.map((part) => this.node(part));
    this.links = this.plan.links.map((link) => {
      const drawn = { ...link, edge: svg("path", { class: "edge" }), flow: svg("path", { class: "flow still" }), note: el("span", { className: "edge-note", hidden: true }) };
      this.lines.append(drawn.edge, drawn.flow);
      this.notes.append(drawn.note);
      return drawn;
    });
    this.root.replaceChildren(this.lines, ...this.reading().map((node) => node.root), this.notes);
    this.arrange();
    if (name != null) this.nodes.find((node) => node.part.name === name)?.root.focus({ preventScroll: true });
  }

  // The nodes in the order in which one reads them.
  reading() {
    const spots = this.plan.rows.flat().filter((spot) => spot.part);
    return [...spots.map((spot) => spot.part), ...this.plan.loose].map((part) => this.nodes[part.index]);
  }

  node(part) {
    const node = { part, sign: sign(UNKNOWN), word: el("span", { className: "word" }), full: el("span", { className: "full num" }), rate: el("span", { className: "num" }), tag: el("span", { className: "neck-tag", hidden: true }, "Bottleneck"), shares: new Shares() };
    const name = el("span", { className: "name", title: part.name }, part.name);
    node.root = el("button", { type: "button", className: "node", tabIndex: -1 },
      el("span", { className: "row" }, node.sign, name, node.tag),
      el("span", { className: "sub" }, node.word, node.full, node.rate),
      node.shares.root);
    node.root.addEventListener("click", () => this.choose(part.index));
    return node;
  }

  // Finds the places for the room there is.
  arrange() {
    const room = this.root.parentElement.clientWidth - 32;
    const { rows, loose } = this.plan;
    const count = rows.length;
    const down = count * (NODE.width + 44) > room && room < 720;
    const widest = Math.max(1, ...rows.map((row) => row.filter((spot) => spot.part).length));
    const width = down ? Math.max(174, Math.min(260, room / widest - 14)) : Math.max(140, Math.min(NODE.width + 24, room / Math.max(count, 1) - 46));
    settle(rows, down ? width + 14 : NODE.height + 18);
    const spots = rows.flat();
    const across = spots.map((spot) => spot.across);
    const low = Math.min(...across), high = Math.max(...across);
    const breadth = count ? high - low + (down ? width : NODE.height) : 0;
    const hop = down ? NODE.height + 42 : Math.max(width + 46, Math.min(width + 150, (room - width) / Math.max(count - 1, 1)));
    const length = count ? (count - 1) * hop + (down ? NODE.height : width) : 0;
    rows.forEach((row, layer) => row.forEach((spot) => {
      const along = 16 + layer * hop + (down ? NODE.height : width) / 2;
      const side = 16 + spot.across - low + (down ? width : NODE.height) / 2;
      spot.x = down ? side : along;
      spot.y = down ? along : side;
      if (spot.part) this.move(spot.part, spot.x - width / 2, spot.y - NODE.height / 2, width);
    }));
    const [used, tall] = down ? [breadth, length] : [length, breadth];
    const each = Math.max(1, Math.floor((Math.max(room, used) + 14) / (NODE.width + 14)));
    const wide = Math.max(used, loose.length ? Math.min(each, loose.length) * (NODE.width + 14) - 14 : 0);
    loose.forEach((part, i) => {
      const top = 16 + (tall ? tall + 26 : 0) + Math.floor(i / each) * (NODE.height + 14);
      this.move(part, 16 + (i % each) * (NODE.width + 14), top, NODE.width);
    });
    const height = tall + (loose.length ? (tall ? 26 : 0) + Math.ceil(loose.length / each) * (NODE.height + 14) - 14 : 0);
    for (const [side, size] of [["width", wide + 32], ["height", height + 32]]) {
      this.root.style[side] = `${size}px`;
      this.lines.setAttribute(side, size);
    }
    this.links.forEach((link) => this.route(link, down, width));
  }

  move(part, left, top, width) {
    const { style } = this.nodes[part.index].root;
    [style.left, style.top, style.width, style.height] = [left, top, width, NODE.height].map((n) => `${Math.round(n)}px`);
  }

  route(link, down, width) {
    const half = (down ? NODE.height : width) / 2;
    const ends = link.path.map(({ x, y }, i, path) => {
      const shift = i === 0 ? half : i === path.length - 1 ? -half : 0;
      return down ? { x, y: y + shift } : { x: x + shift, y };
    });
    let d = `M${ends[0].x} ${ends[0].y}`;
    ends.slice(1).forEach((to, i) => {
      const from = ends[i];
      const mid = down ? (from.y + to.y) / 2 : (from.x + to.x) / 2;
      d += down ? `C${from.x} ${mid} ${to.x} ${mid} ${to.x} ${to.y}` : `C${mid} ${from.y} ${mid} ${to.y} ${to.x} ${to.y}`;
    });
    link.edge.setAttribute("d", d);
    link.flow.setAttribute("d", d);
    const half2 = ends.length >> 1;
    const [a, b] = [ends[half2 - 1], ends[half2]];
    link.note.style.left = `${(a.x + b.x) / 2}px`;
    link.note.style.top = `${(a.y + b.y) / 2}px`;
  }

  update(selected) {
    const { model } = this;
    for (const node of this.nodes) {
      const { part } = node, { now } = part;
      const state = model.state(part), neck = model.neck === part.index;
      mark(node.root, "data-state", state);
      mark(node.sign.firstChild, "href", `#sign-${state}`);
      put(node.word, WORDS[state]);
      put(node.full, now.fill == null ? "" : `${percent(now.fill)} full`);
      put(node.rate, rate(now.out));
      node.tag.hidden = !neck;
      node.root.classList.toggle("neck", neck);
      node.root.style.setProperty("--fill", Math.min(now.fill ?? 0, 1));
      node.shares.set(now);
      mark(node.root, "aria-pressed", String(part.index === selected));
      node.root.tabIndex = part.index === selected ? 0 : -1;
      mark(node.root, "aria-label", this.spoken(part, state, neck));
    }
    for (const link of this.links) {
      const { now } = model.parts[link.from];
      const blocked = now.blocked ?? 0;
      const flows = !now.ended && now.out > 0;
      link.edge.style.setProperty("--blocked-share", blocked.toFixed(2));
      link.flow.classList.toggle("still", !flows || blocked > 0.9);
      link.flow.style.setProperty("--pace", flows ? `${(2.4 / Math.log10(10 + now.out)).toFixed(1)}s` : "");
      link.note.hidden = blocked < 0.05;
      put(link.note, `${percent(blocked)} blocked`);
    }
  }

  spoken(part, state, neck) {
    const { now } = part;
    const names = (parts) => parts.map((other) => other.name).join(", ");
    const feeds = part.feeds.length ? `feeds ${names(part.feeds.map((to) => this.model.parts[to]))}` : "end of the line";
    const shares = now.busy == null ? "" : `, busy ${percent(now.busy)}, blocked ${percent(now.blocked)}`;
    return `${part.name}: ${WORDS[state]}${neck ? ", the bottleneck" : ""}, fill ${percent(now.fill)}, ${rate(now.out)} out${shares}, ${feeds}`;
  }

  walk(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const nodes = this.reading();
    const at = nodes.findIndex((node) => node.root === document.activeElement);
    if (at < 0) return;
    const to = event.key === "Home" ? 0 : event.key === "End" ? nodes.length - 1 : step && at + step;
    if (to == null || !nodes[to]) return;
    event.preventDefault();
    this.choose(nodes[to].part.index);
    nodes[to].root.focus();
  }
}
