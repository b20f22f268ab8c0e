// A bar of three shares that are 1 together.
class Shares {
  constructor() {
    this.pieces = ["busy", "blocked"].map((kind) => el("i", { className: `share ${kind}` }));
    this.root = el("span", { className: "shares", "aria-hidden": "true" }, ...this.pieces);
  }

  set({ busy, blocked }) {
    [busy, blocked].forEach((share, i) => (this.pieces[i].style.width = `${((share ?? 0) * 100).toFixed(1)}%`));
    this.root.style.visibility = busy == null ? "hidden" : "";
  }
}
