// Draws the page's figures in the reader's theme, and sorts its tables.
(() => {
  "use strict";
  const page = JSON.parse(document.getElementById("page-data").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)");
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  // A colour in a figure is "$" and the name of a CSS variable.
  const painted = (value, key = "") => {
    if (typeof value === "string") return /color$/i.test(key) && value[0] === "$" ? css(value.slice(1)) : value;
    if (Array.isArray(value)) return value.map((item) => (typeof item === "object" ? painted(item) : item));
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

  const draw = (place, { data, layout, zoom }) => {
    const base = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: css("ink") },
      margin: { l: 8, r: 12, t: 12, b: 8 }, hovermode: "closest", dragmode: zoom && !touch.matches ? "zoom" : false,
      hoverlabel: { bgcolor: "$paper", bordercolor: "$muted", font: { color: "$ink" }, align: "left" },
    };
    for (const key of ["xaxis", "yaxis", ...Object.keys(layout)]) {
      if (/^[xy]axis\d*$/.test(key)) base[key] = axis();
    }
    if (zoom && !touch.matches) base.xaxis.fixedrange = false;
    const config = { displayModeBar: false, scrollZoom: false, doubleClick: "reset" };
    return Plotly.react(place, painted(data), painted(merged(base, layout)), config);
  };

  const drawAll = () => {
    for (const [name, figure] of Object.entries(page.figures)) draw(document.getElementById(`plot-${name}`), figure);
    drawCounters();
  };

  // Counters: one row of axes for each quantity of the chosen node.
  const chooser = document.getElementById("counter-node");
  const drawCounters = () => {
    if (!chooser) return;
    const tracks = page.counters.nodes[chooser.value];
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

  // Sorting: numbers by value, text by name, empty cells last.
  const value = (row, column, numeric) => {
    const text = row.cells[column].textContent;
    return numeric ? parseFloat(text.replaceAll(",", "")) : text;
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
  // Figures follow their place, whatever changes it; the first report comes after the first layout.
  const places = new ResizeObserver((changes) => {
    for (const { target } of changes) if (target.clientWidth) Plotly.Plots.resize(target);
  });
  for (const place of document.querySelectorAll(".plot")) places.observe(place);
  dark.addEventListener("change", drawAll);
})();
