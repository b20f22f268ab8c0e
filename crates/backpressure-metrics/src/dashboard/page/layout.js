// Where the nodes of a graph without circles go: in layers, so that every link leads forwards. Sizes are in pixels; `along`
// is the way things flow, `across` the other.
function layers(parts) {
  const before = parts.map(() => []);
  parts.forEach((part) => part.feeds.forEach((to) => before[to].push(part.index)));
  const linked = parts.filter((part) => part.feeds.length || before[part.index].length);
  const rank = new Map();
  const rise = (index) => {
    if (!rank.has(index)) {
      rank.set(index, 0);
      rank.set(index, Math.max(-1, ...before[index].map(rise)) + 1);
    }
    return rank.get(index);
  };
  linked.forEach((part) => rise(part.index));
  // A source stands right before the first that it feeds.
  for (const part of linked) {
    if (!before[part.index].length) rank.set(part.index, Math.min(...part.feeds.map((to) => rank.get(to))) - 1);
  }
  // A link across several layers takes a place in each of them.
  const rows = [];
  const place = (layer, spot) => ((rows[layer] ??= []).push(spot), spot);
  const spots = new Map();
  linked.forEach((part) => spots.set(part.index, place(rank.get(part.index), { part, to: [], from: [] })));
  const links = [];
  for (const part of linked) {
    for (const target of part.feeds) {
      const path = [spots.get(part.index)];
      for (let layer = rank.get(part.index) + 1; layer < rank.get(target); layer++) path.push(place(layer, { to: [], from: [] }));
      path.push(spots.get(target));
      path.slice(1).forEach((spot, i) => (path[i].to.push(spot), spot.from.push(path[i])));
      links.push({ from: part.index, to: target, path });
    }
  }
  untangle(rows);
  return { rows, links, loose: parts.filter((part) => !linked.includes(part)) };
}

// Orders each layer by where its neighbours stand, forth and back a few times.
function untangle(rows) {
  const number = (row) => row.forEach((spot, i) => (spot.order = i));
  rows.forEach(number);
  const mean = (spots, otherwise) => (spots.length ? spots.reduce((sum, spot) => sum + spot.order, 0) / spots.length : otherwise);
  for (let round = 0; round < 6; round++) {
    const forth = round % 2 === 0;
    for (const row of forth ? rows : [...rows].reverse()) {
      row.forEach((spot) => (spot.weight = mean(forth ? spot.from : spot.to, spot.order)));
      row.sort((a, b) => a.weight - b.weight || a.order - b.order);
      number(row);
    }
  }
}

// Gives each spot its `across`: as near to its neighbours as those beside it allow.
function settle(rows, gap) {
  const broad = (spot) => (spot.part ? gap : gap * 0.45);
  const apart = (a, b) => (broad(a) + broad(b)) / 2;
  for (const row of rows) {
    let at = 0;
    row.forEach((spot, i) => (spot.across = at += i ? apart(row[i - 1], spot) : 0));
    const middle = at / 2;
    row.forEach((spot) => (spot.across -= middle));
  }
  for (let round = 0; round < 8; round++) {
    for (const row of round % 2 ? [...rows].reverse() : rows) {
      const wish = row.map((spot) => {
        const near = [...spot.from, ...spot.to];
        return near.length ? near.reduce((sum, other) => sum + other.across, 0) / near.length : spot.across;
      });
      const low = wish.slice(), high = wish.slice();
      for (let i = 1; i < row.length; i++) low[i] = Math.max(low[i], low[i - 1] + apart(row[i - 1], row[i]));
      for (let i = row.length - 2; i >= 0; i--) high[i] = Math.min(high[i], high[i + 1] - apart(row[i], row[i + 1]));
      row.forEach((spot, i) => (spot.across = (low[i] + high[i]) / 2));
    }
  }
}
