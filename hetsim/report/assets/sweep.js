// The figures of a sweep that are chosen on the page: lines across all axes, and a map of two.
(() => {
  "use strict";
  const { page, draw, css, dark } = window.hetsim;
  const sweep = page.sweep;
  if (!sweep) return;
  const columns = Object.fromEntries([...sweep.axes, ...sweep.results].map((each) => [each.key, each]));
  const byId = (id) => document.getElementById(id);
  const named = (column) => column.title + (column.unit ? `, ${column.unit}` : "");
  const shown = (column, value, names = column.names) => names ? names[value] ?? ""
    : value === null ? "–" : value.toLocaleString("en", { maximumSignificantDigits: 4 });

  // From low to high; told apart on white and on black, and by those who see few colours.
  const STOPS = [[68, 84, 176], [38, 140, 155], [88, 170, 92], [214, 160, 38], [216, 84, 60]];
  const SCALE = STOPS.map((stop, i) => [i / (STOPS.length - 1), `rgb(${stop})`]);
  const colour = (share) => {
    const at = Math.min(Math.max(share, 0), 1) * (STOPS.length - 1), low = Math.min(Math.floor(at), STOPS.length - 2);
    return `rgb(${STOPS[low].map((part, i) => Math.round(part + (at - low) * (STOPS[low + 1][i] - part)))})`;
  };
  const limits = (column) => {
    const values = column.values.filter((value) => value !== null);
    return [Math.min(...values), Math.max(...values)];
  };
  const share = (column, value) => {
    const [low, high] = limits(column);
    return high > low ? (value - low) / (high - low) : 0.5;
  };

  // Lines across the axes.
  const svg = byId("lines-plot");
  const across = [...sweep.axes, ...sweep.across.map((key) => columns[key])];
  const HIGH = 300, TOP = 56, GAP = Math.max(120, 980 / across.length), LEFT = 60;
  const kept = new Map();
  const make = (name, attributes, content = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = content;
    return made;
  };
  const placed = (column, value) => TOP + HIGH * (1 - share(column, value));
  const passes = (row) => [...kept].every(([i, [low, high]]) => {
    const value = across[i].values[row];
    return value !== null && placed(across[i], value) >= low && placed(across[i], value) <= high;
  });

  const refresh = () => {
    let passing = 0;
    for (const line of svg.querySelectorAll("path")) {
      const stays = passes(Number(line.dataset.row));
      passing += stays;
      line.classList.toggle("off", !stays);
    }
    for (const box of svg.querySelectorAll("rect.kept")) {
      const range = kept.get(Number(box.dataset.axis));
      box.setAttribute("y", range ? range[0] : 0);
      box.setAttribute("height", range ? range[1] - range[0] : 0);
    }
    byId("kept-lines").textContent = `${passing} of ${sweep.points.length} ${sweep.noun}s`;
  };

  const brush = (i) => {
    const area = make("rect", { class: "brush", x: LEFT + i * GAP - 16, y: TOP - 8, width: 32, height: HIGH + 16 });
    let from = null;
    const at = (event) => event.clientY - svg.getBoundingClientRect().top;
    area.addEventListener("pointerdown", (event) => { from = at(event); area.setPointerCapture(event.pointerId); kept.delete(i); refresh(); });
    area.addEventListener("pointermove", (event) => {
      if (from === null || Math.abs(at(event) - from) < 4) return;
      kept.set(i, [Math.min(from, at(event)), Math.max(from, at(event))]);
      refresh();
    });
    for (const end of ["pointerup", "pointercancel"]) area.addEventListener(end, () => { from = null; });
    return area;
  };

  const lines = () => {
    const by = columns[byId("colour-by").value];
    const order = sweep.points.map((_, row) => row);
    svg.replaceChildren();
    svg.setAttribute("width", 2 * LEFT + GAP * (across.length - 1) + 40);
    svg.setAttribute("height", TOP + HIGH + 40);
    for (const row of order) {
      const steps = across.map((column, i) => column.values[row] === null ? null : `${LEFT + i * GAP} ${placed(column, column.values[row]).toFixed(1)}`);
      const value = by.values[row];
      const path = make("path", {
        d: `M${steps.filter((step) => step !== null).join("L")}`,
        stroke: value === null ? css("idle") : colour(share(by, value)), "data-row": row,
      });
      const words = [...across, by].filter((column, i, all) => all.indexOf(column) === i);
      path.append(make("title", {}, [`${sweep.noun} ${sweep.points[row]}`, ...words.map((column) => `${named(column)}: ${shown(column, column.values[row])}`)].join("\n")));
      svg.append(path);
    }
    across.forEach((column, i) => {
      const x = LEFT + i * GAP;
      svg.append(make("line", { x1: x, x2: x, y1: TOP, y2: TOP + HIGH }));
      svg.append(make("text", { x, y: 16 + 16 * (i % 2), class: "head" }, named(column)));
      const ticks = [...new Set(column.values.filter((value) => value !== null))].sort((a, b) => a - b);
      const [low, high] = limits(column);
      const marks = ticks.length <= 8 ? ticks : [low, (low + high) / 2, high];
      for (const mark of marks) svg.append(make("text", { x: x + 6, y: placed(column, mark) + 4 }, shown(column, mark, column.short)));
      svg.append(make("rect", { class: "kept", "data-axis": i, x: x - 8, width: 16, y: 0, height: 0 }), brush(i));
    });
    refresh();
  };
  byId("colour-by").addEventListener("change", lines);

  // The map.
  const map = () => {
    const [x, y, of] = ["map-x", "map-y", "map-of"].map((id) => columns[byId(id).value]);
    const distinct = (column) => [...new Set(column.values)].sort((a, b) => a - b);
    const xs = distinct(x), ys = distinct(y);
    const sums = ys.map(() => xs.map(() => [0, 0]));
    of.values.forEach((value, row) => {
      if (value === null) return;
      const cell = sums[ys.indexOf(y.values[row])][xs.indexOf(x.values[row])];
      cell[0] += value;
      cell[1] += 1;
    });
    const label = (column) => (value) => `${shown(column, value, column.short)} ${column.unit}`.trim();
    draw(byId("plot-map"), {
      data: [{
        type: "heatmap", x: xs.map(label(x)), y: ys.map(label(y)), colorscale: SCALE, xgap: 2, ygap: 2,
        z: sums.map((line) => line.map(([sum, n]) => (n ? sum / n : null))),
        customdata: sums.map((line) => line.map(([, n]) => n)), hoverongaps: false,
        texttemplate: xs.length * ys.length <= 100 ? "%{z:.4~g}" : "", textfont: { color: "#ffffff" },
        hovertemplate: `%{x}, %{y}<br>%{z:,.4g} ${of.unit}<br>mean of %{customdata} points<extra></extra>`,
        colorbar: { title: { text: named(of), side: "right" }, thickness: 12, outlinewidth: 0 },
      }],
      layout: {
        xaxis: { type: "category", title: { text: x.title }, showgrid: false },
        yaxis: { type: "category", title: { text: y.title }, showgrid: false },
      },
    });
  };
  const drawAll = () => {
    lines();
    if (byId("map-x")) map();
  };
  for (const id of ["map-x", "map-y", "map-of"]) byId(id)?.addEventListener("change", map);
  dark.addEventListener("change", drawAll);
  drawAll();
})();
