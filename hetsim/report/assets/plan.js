// The plane of a plan: every configuration by two of its results, and the goals on these.
(() => {
  "use strict";
  const { page, draw, dark } = window.hetsim;
  const plan = page.plan;
  if (!plan) return;
  const byId = (id) => document.getElementById(id);
  const named = (result) => result.title + (result.unit ? `, ${result.unit}` : "");

  // A goal far off all dots would press them into a corner: it is named at the edge, not drawn.
  const goal = (result, across) => {
    if (!result.limit) return [[], []];
    const { at, text } = result.limit;
    const values = result.values.filter((value) => value !== null);
    const low = Math.min(...values), high = Math.max(...values), near = Math.max(high - low, 0.1 * Math.abs(high));
    if (at > high + near || at < low - near) {
      const beyond = at > high;
      const [sign, place] = across ? [beyond ? "→" : "←", { x: beyond ? 1 : 0, y: 0, xanchor: beyond ? "right" : "left", yanchor: "bottom" }]
        : [beyond ? "↑" : "↓", { x: 1, y: beyond ? 1 : 0.06, xanchor: "right", yanchor: beyond ? "top" : "bottom" }];
      return [[], [{ text: `${text} ${sign}`, showarrow: false, font: { color: "$target", size: 11 }, xref: "paper", yref: "paper", ...place }]];
    }
    const ends = across ? { x0: at, x1: at, y0: 0, y1: 1, yref: "paper" } : { y0: at, y1: at, x0: 0, x1: 1, xref: "paper" };
    const label = across ? { x: at, y: 1, yref: "paper", xanchor: "left", yanchor: "top", textangle: 90, xshift: -1 }
      : { y: at, x: 1, xref: "paper", xanchor: "right", yanchor: "bottom" };
    return [
      [{ type: "line", ...ends, line: { color: "$target", width: 1.5, dash: "dash" } }],
      [{ text, showarrow: false, font: { color: "$target", size: 11 }, ...label }],
    ];
  };

  const plane = () => {
    const [x, y] = ["plane-x", "plane-y"].map((id) => plan.results[byId(id).value]);
    const data = [...plan.kinds].reverse().map(({ name, status, color }) => {
      const mine = plan.status.map((of, row) => [of, row]).filter(([of]) => of === status).map(([, row]) => row);
      const first = ["chosen", "nearest"].includes(status);
      return {
        type: "scatter", mode: "markers", name, x: mine.map((row) => x.values[row]), y: mine.map((row) => y.values[row]),
        customdata: mine.map((row) => plan.words[row]),
        marker: { color, symbol: first ? "star" : "circle", size: first ? 17 : status === "front" ? 10 : 7, line: { color: "$paper", width: 1 } },
        hovertemplate: `%{customdata}<br>${x.title} %{x:,.4g} ${x.unit}<br>${y.title} %{y:,.4g} ${y.unit}<extra>${name}</extra>`,
      };
    });
    const [xs, ys] = [goal(x, true), goal(y, false)];
    draw(byId("plot-plane"), {
      data,
      layout: {
        xaxis: { title: { text: named(x) } }, yaxis: { title: { text: named(y) } },
        shapes: [...xs[0], ...ys[0]], annotations: [...xs[1], ...ys[1]],
      },
    });
  };
  for (const id of ["plane-x", "plane-y"]) byId(id).addEventListener("change", plane);
  dark.addEventListener("change", plane);
  plane();
})();
