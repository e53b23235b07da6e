// Draws the page's figures in the reader's theme, and sorts its tables.
(() => {
  "use strict";
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)");
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  const printed = () => document.documentElement.classList.contains("print");

  // A colour in a figure is "$" and the name of a CSS variable, "/40" after it for 40 % of it.
  const colour = (name) => {
    const [base, share] = name.split("/"), value = css(base);
    return share ? `rgba(${[1, 3, 5].map((i) => parseInt(value.slice(i, i + 2), 16)).join()},${share / 100})` : value;
  };
  const painted = (value, key = "") => {
    if (typeof value === "string") return /color$/i.test(key) && value[0] === "$" ? colour(value.slice(1)) : value;
    if (Array.isArray(value)) return value.map((item) => painted(item, key));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, painted(item, name)]));
  };

  const axis = () => ({
    gridcolor: "$grid", zerolinecolor: "$rule", linecolor: "$rule", tickfont: { color: "$muted" },
    title: { font: { color: "$muted", size: 12 }, standoff: 8 }, automargin: true, fixedrange: true,
  });

  const merged = (base, over) => {
    const result = { ...base };
    for (const [key, value] of Object.entries(over)) {
      const both = [result[key], value].every((x) => x && typeof x === "object" && !Array.isArray(x));
      result[key] = both ? merged(result[key], value) : value;
    }
    return result;
  };

  // A narrow diagram has room for brief names only.
  const brief = (trace) => ({ ...trace, node: { ...trace.node, label: trace.node.customdata } });

  const draw = (place, { data, layout, zoom }) => {
    if (place.clientWidth < 600) data = data.map((trace) => (trace.type === "sankey" ? brief(trace) : trace));
    const base = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: css("ink") },
      margin: { l: 8, r: 12, t: 12, b: 8 }, hovermode: "closest", dragmode: zoom && !touch.matches ? "zoom" : false,
      hoverlabel: { bgcolor: "$paper", bordercolor: "$muted", font: { color: "$ink" }, align: "left" },
    };
    const flow = data.every((trace) => trace.type === "sankey"), plain = flow ? [] : ["xaxis", "yaxis"];
    for (const key of [...plain, ...Object.keys(layout)]) {
      if (/^[xy]axis\d*$/.test(key)) base[key] = axis();
    }
    if (zoom && !touch.matches) base.xaxis.fixedrange = false;
    if (printed()) base.width = place.clientWidth;  // at once; otherwise figures follow their place
    const still = flow && printed(); // a diagram that does not fade in
    const config = { displayModeBar: false, scrollZoom: false, doubleClick: "reset", staticPlot: still };
    return Plotly.react(place, painted(data), painted(merged(base, layout)), config);
  };

  const drawAll = () => {
    for (const [name, figure] of Object.entries(page.figures)) draw(document.getElementById(`plot-${name}`), figure);
    drawCounters();
    drawPath();
  };

  // The critical path of the chosen round: a row for each node that was on it.
  const rounds = document.getElementById("path-round");
  page.path?.rounds.forEach((round, i) => {
    const long = page.path.paths[i].reduce((sum, segment) => sum + segment[3], 0);
    rounds.add(new Option(`${round}, ${Number(long.toPrecision(3))} ${page.path.unit}`, i));
    rounds.value = page.path.longest;
  });
  const drawPath = () => {
    if (!rounds) return;
    const { names, kinds, time, unit } = page.path;
    let end = 0; // each segment begins where the one before it ends
    const segments = page.path.paths[rounds.value].map(([node, peer, kind, long]) => {
      end += long;
      return { node: names[node], peer: names[peer] && `, with ${names[peer]}`, kind, long, begin: end - long };
    });
    const nodes = [...new Set(segments.map(({ node }) => node))];
    const data = kinds.map(({ name, color }, kind) => {
      const mine = segments.filter((segment) => segment.kind === kind);
      return {
        type: "bar", orientation: "h", name, width: 0.6, y: mine.map((s) => s.node), base: mine.map((s) => s.begin),
        x: mine.map((s) => s.long), customdata: mine.map((s) => s.peer),
        marker: { color, line: { color, width: 1 } },
        hovertemplate: `%{y}: ${name}%{customdata}<br>%{x:.4g} ${unit}<extra></extra>`,
      };
    });
    const layout = {
      barmode: "overlay", xaxis: { title: { text: time }, rangemode: "tozero" },
      yaxis: { type: "category", categoryorder: "array", categoryarray: nodes, range: [nodes.length - 0.4, -0.6], showgrid: false },
    };
    const place = document.getElementById("plot-path");
    place.style.height = `${80 + 34 * nodes.length}px`;
    draw(place, { data, layout });
  };
  rounds?.addEventListener("change", drawPath);

  // Counters: one row of axes for each quantity of the chosen node.
  const chooser = document.getElementById("counter-node");
  const drawCounters = () => {
    if (!chooser) return;
    const tracks = page.counters.nodes[chooser.value], still = tracks[0].still.join("; ");
    document.getElementById("counters-still").textContent = still && `Steady: ${still}.`;
    const gap = 0.1, high = (1 + gap) / tracks.length - gap;
    const layout = { xaxis: { title: { text: page.counters.time }, range: page.counters.range }, annotations: [] };
    const data = tracks.map((track, i) => {
      const top = 1 - i * (high + gap), axisName = i ? `y${i + 1}` : "y";
      layout[i ? `yaxis${i + 1}` : "yaxis"] = { domain: [Math.max(top - high, 0), top], rangemode: track.zero ? "tozero" : "normal", nticks: 5 };
      layout.annotations.push({
        text: track.title, x: 0, y: top, xref: "paper", yref: "paper", xanchor: "left", yanchor: "bottom",
        showarrow: false, font: { color: "$muted", size: 12 },
      });
      return {
        type: "scatter", mode: "lines", x: track.x, x0: track.x0, dx: track.dx, y: track.y, yaxis: axisName,
        line: { color: i ? "$mean" : "$line", width: 1.5, shape: track.curve ? "linear" : "hv" },
        hovertemplate: `%{y:.4g} ${track.unit} at %{x:.4g}<extra></extra>`,
      };
    });
    layout.xaxis.anchor = tracks.length > 1 ? `y${tracks.length}` : "y";
    layout.margin = { t: 24 };
    const place = document.getElementById("plot-counters");
    place.style.height = `${90 + 140 * tracks.length}px`;
    draw(place, { data, layout, zoom: true });
  };
  chooser?.addEventListener("change", drawCounters);

  // A figure is downloaded as it is seen, with its title and a legend, on the page's paper.
  for (const button of document.querySelectorAll("button.save")) button.addEventListener("click", () => {
    const place = document.getElementById(button.dataset.plot), room = 44;
    const [title, rest] = button.parentElement.childNodes;
    const { clientWidth: width, clientHeight: height } = place, margin = { ...place.layout.margin };
    const layout = {
      ...place.layout, width, height: height + 2 * room, paper_bgcolor: css("paper"), margin: { ...margin, t: margin.t + room },
      title: { text: `${title.textContent}${rest === button ? "" : rest.textContent}`, font: { size: 14 }, x: 0, xref: "paper", y: 1, yref: "container", yanchor: "top", pad: { t: 10 } },
      showlegend: place.data.length > 1, legend: { orientation: "h", y: -0.12, yanchor: "top" },
    };
    const filename = `${document.title.split(" ")[0].replace(/[^\w-]/g, "_")}-${button.dataset.plot.slice(5)}`;
    Plotly.downloadImage({ data: place.data, layout }, { format: "svg", width, height: layout.height, filename });
  });

  // Sorting: numbers by value, their units minded; text by name; empty cells last.
  const UNITS = { d: 86400, h: 3600, min: 60, s: 1, ms: 1e-3, "µs": 1e-6 };
  const PREFIXES = { T: 1e12, G: 1e9, M: 1e6, k: 1e3, m: 1e-3, "µ": 1e-6 };
  const factor = (unit) => UNITS[unit] ?? (/^.(J|B|W|Wh)$/.test(unit) ? PREFIXES[unit[0]] : 1);
  const amount = (text) => {
    const parts = [...text.replaceAll(",", "").matchAll(/(-?\d+(?:\.\d+)?)\s*([a-zµ]*)/gi)];
    const beyond = text[0] === "<" ? -0.5 : text[0] === ">" ? 0.5 : 0;
    return parts.length ? parts.reduce((sum, [, number, unit]) => sum + number * (factor(unit) ?? 1), beyond) : NaN;
  };
  const value = (row, column, numeric) => {
    const text = row.cells[column].textContent;
    return numeric ? amount(text) : text;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
      const numeric = head.classList.contains("num");
      const before = head.getAttribute("aria-sort");
      const down = before ? before === "ascending" : numeric;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows].map((row) => [value(row, column, numeric), row]);
      rows.sort(([a], [b]) => {
        if (numeric && (Number.isNaN(a) || Number.isNaN(b))) return Number.isNaN(a) - Number.isNaN(b);
        const order = numeric ? a - b : a.localeCompare(b, "en", { numeric: true });
        return down ? -order : order;
      });
      table.tBodies[0].append(...rows.map(([, row]) => row));
    }));
  }

  drawAll();
  document.getElementById("plot-blame")?.on("plotly_click", ({ points }) => {
    const chosen = page.path.rounds.indexOf(Math.round(points[0].x));
    if (chosen < 0) return;
    rounds.value = chosen;
    drawPath();
  });
  document.getElementById("plot-timeline")?.on("plotly_click", ({ points }) => {
    const name = page.timeline[points[0].y], chosen = [...(chooser?.options ?? [])].find(({ text }) => text === name);
    if (!chosen) return;
    chooser.value = chosen.value;
    drawCounters();
  });
  window.hetsim = { page, draw, css, dark };  // for the scripts of single pages
  // Figures follow their place, whatever changes it; the first report comes after the first layout.
  const places = new ResizeObserver((changes) => {
    for (const { target } of changes) if (target.clientWidth) Plotly.Plots.resize(target);
  });
  for (const place of document.querySelectorAll(".plot")) places.observe(place);
  dark.addEventListener("change", drawAll);
  for (const event of ["beforeprint", "afterprint"]) addEventListener(event, () => {
    document.documentElement.classList.toggle("print", event === "beforeprint");
    drawAll();
  });
})();
