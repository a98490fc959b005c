"use strict";
(() => {
  const root = document.documentElement;
  let data = null;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const escaped = (s) => s.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const color = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();

  // time since the start of the run, in the unit that suits its length
  let unit = "s", seconds = 1;
  const away = (t) => data.gaps.reduce((sum, [end, seconds]) => sum + (t >= end ? seconds : 0), 0);
  const clock = (t) => new Date((data.started + t + away(t)) * 1000).toISOString().slice(0, 19).replace("T", " ") + " UTC";
  const short = (v) =>
    v === null ? "" : Math.abs(v) >= 100 ? Math.round(v).toLocaleString("en") : String(+v.toPrecision(3));

  const DASHES = { solid: "solid", dash: "8px,4px", dot: "2px,3px", thin: "solid", points: "6px,3px,2px,3px" };
  const TONES = { bad: "fail", warn: "inconclusive", muted: "muted", other: "other" };
  const SEVERITIES = { fail: "fail", warning: "inconclusive", info: "info" };

  function traces(chart, picked) {
    const shown = chart.traces.filter((t) => t.endpoint === null || t.endpoint === picked);
    const drawn = shown.map((t) => {
      const tint = color(TONES[t.tone] || t.side);
      // the reference lies below and is broader, so that both show where they are equal
      const below = t.side === "reference";
      return {
        type: "scatter", name: escaped(t.name), x: t.t.map((s) => s / seconds), y: t.v,
        mode: t.style === "points" && t.t.length < 40 ? "lines+markers" : "lines",
        zorder: below ? 0 : 1, legendrank: below ? 2 : 1,
        line: { color: tint, width: (t.style === "thin" ? 1 : 2) + (below ? 1.5 : 0), dash: DASHES[t.style] },
        marker: { color: tint, size: 6, symbol: "diamond" },
        opacity: t.style === "dot" || t.style === "thin" ? 0.85 : 1,
        connectgaps: false,
        customdata: t.v.map((v) => short(v) + (chart.unit ? " " + chart.unit : "")),
        hovertemplate: "%{customdata}",
      };
    });
    // an unseen line that tells the wall clock in the hover box
    const steps = Array.from({ length: 481 }, (_, i) => (data.duration * i) / 480);
    const wall = {
      type: "scatter", mode: "lines", x: steps.map((s) => s / seconds), y: steps.map(() => 0.5), yaxis: "y2",
      line: { width: 0, color: "rgba(0,0,0,0)" }, customdata: steps.map(clock), showlegend: false,
      hovertemplate: "%{customdata}<extra></extra>", name: "",
    };
    return [wall, ...drawn];
  }

  function logTicks(values) {
    const low = Math.min(...values), high = Math.max(...values), marks = [];
    const narrow = high / low < 12;
    const mantissas = narrow ? [1, 1.5, 2, 3, 5, 7] : high / low < 500 ? [1, 2, 5] : [1];
    for (let e = Math.floor(Math.log10(low)) - 1; e <= Math.ceil(Math.log10(high)); e++) {
      for (const m of mantissas) marks.push(+(m * 10 ** e).toPrecision(2));
    }
    return {
      tickvals: marks,
      ticktext: marks.map((v) => (v < 1 ? +(v * 1000).toPrecision(2) + " µs" : v < 1000 ? v + " ms" : v / 1000 + " s")),
    };
  }

  function phases(pixels) {
    const shapes = [], labels = [];
    data.phases.forEach((p) => {
      const [x0, x1] = [p.start / seconds, p.end / seconds];
      if (p.name !== "soak") {
        shapes.push({ type: "rect", xref: "x", yref: "paper", x0, x1, y0: 0, y1: 1, line: { width: 0 },
          fillcolor: color("shade"), layer: "below" });
      }
      shapes.push({ type: "line", xref: "x", yref: "paper", x0, x1: x0, y0: 0, y1: 1.03,
        line: { width: 1, color: color("line") }, layer: "below" });
      const wide = ((p.end - p.start) / data.duration) * pixels;
      if (wide > p.name.length * 7 + 6) {
        labels.push({ text: p.name, x: (x0 + x1) / 2, y: 1, yanchor: "bottom", xref: "x", yref: "paper",
          showarrow: false, font: { size: 11, color: color("muted") } });
      }
    });
    return { shapes, labels };
  }

  function findings(chart, picked, pixels) {
    const shapes = [], labels = [], rows = [];
    data.findings.forEach((f) => {
      if (!chart.marks.includes(f.number) || f.start === null) return;
      if (chart.id === "latency" && f.endpoint !== null && picked !== "" && f.endpoint !== picked) return;
      const tint = color(SEVERITIES[f.severity]), x = f.start / seconds;
      const end = f.end !== null && f.end > f.start ? f.end / seconds : x;
      const text = f.number + " " + escaped(f.cause) + (data.sides.length > 1 ? " (" + f.side + ")" : "");
      const right = f.start / data.duration > 0.6;
      const width = text.length * 6.4 + 8;
      const from = (f.start / data.duration) * pixels - (right ? width : 0);
      let row = rows.findIndex((taken) => taken.every(([a, b]) => from + width < a || from > b));
      if (row < 0) row = rows.push([]) - 1;
      rows[row].push([from, from + width]);
      shapes.push({ type: "line", xref: "x", yref: "paper", x0: x, x1: x, y0: 0, y1: 1,
        line: { width: 2, color: tint, dash: "4px,3px" } });
      if (end > x) {
        shapes.push({ type: "rect", xref: "x", yref: "paper", x0: x, x1: end, y0: 0, y1: 0.015,
          line: { width: 0 }, fillcolor: tint, opacity: 0.55 });
      }
      labels.push({ text, x, y: 1, yanchor: "top", yshift: -3 - 20 * row, xanchor: right ? "right" : "left",
        xref: "x", yref: "paper", showarrow: false, bgcolor: color("card"), bordercolor: tint, borderpad: 2,
        font: { size: 11, color: tint } });
    });
    return { shapes, labels, rows: rows.length };
  }

  function events() {
    return data.events.map((t) => ({ type: "line", xref: "x", yref: "paper", x0: t / seconds, x1: t / seconds,
      y0: 0, y1: 0.06, line: { width: 2, color: color("text") } }));
  }

  function layout(chart, picked, width, drawn) {
    const pixels = Math.max(width - 80, 100);
    const bands = phases(pixels), marks = findings(chart, picked, pixels);
    const numbers = drawn.slice(1).flatMap((t) => t.y).filter((v) => v !== null && (!chart.log || v > 0));
    // every chart has the same area; below it the legend, in as many columns as fit
    const area = chart.log ? 280 : 210;
    const entry = 6.6 * Math.max(...drawn.map((t) => t.name.length)) + 4;
    const columns = Math.max(1, Math.floor((width - 78) / (entry + 47)));
    const below = 40 + 20 * Math.ceil((drawn.length - 1) / columns);
    // room above the data for the labels of findings
    const room = (20 * marks.rows + 6) / area;
    const y = {
      gridcolor: color("grid"), linecolor: color("line"), zeroline: false, fixedrange: true,
      tickfont: { size: 12 },
    };
    if (chart.log) {
      Object.assign(y, { type: "log" }, numbers.length ? logTicks(numbers) : {});
      if (numbers.length) {
        const low = Math.log10(Math.min(...numbers)), high = Math.log10(Math.max(...numbers));
        y.range = [low - 0.05 - 0.05 * (high - low), high + 0.05 + (0.05 + room) * (high - low + 0.1)];
      }
    } else {
      const [bottom, top] = chart.range;
      y.range = [bottom, top + (marks.rows ? room * (top - bottom) : 0)];
      Object.assign(y, { ticksuffix: chart.unit ? " " + chart.unit : "", nticks: 6, exponentformat: "none" });
    }
    return {
      width, height: 24 + area + below,
      margin: { l: 64, r: 14, t: 24, b: below, autoexpand: false },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif', color: color("text") },
      hovermode: "x unified", hoverlabel: { bgcolor: color("card"), bordercolor: color("line"),
        font: { color: color("text"), size: 12 } },
      // a finger scrolls the page; a mouse marks a stretch of time to look at
      dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
      legend: { orientation: "h", xref: "container", x: 0, y: -32 / area, yanchor: "top", font: { size: 12 },
        itemwidth: 36, entrywidth: entry, entrywidthmode: "pixels" },
      showlegend: true,
      xaxis: { range: [0, data.duration / seconds], gridcolor: color("grid"), linecolor: color("line"), zeroline: false,
        ticksuffix: " " + unit, ticklabelstandoff: 5, hoverformat: unit === "s" ? ".0f" : ".2f", nticks: width < 500 ? 5 : 9,
        tickfont: { size: 12 } },
      yaxis: y,
      yaxis2: { overlaying: "y", range: [0, 1], visible: false, fixedrange: true },
      shapes: [...bands.shapes, ...events(), ...marks.shapes],
      annotations: [...bands.labels, ...marks.labels],
    };
  }

  const picked = () => {
    const picker = document.getElementById("endpoint");
    if (picker) return picker.value === "" ? "" : data.endpoints[picker.value - 1];
    return data.endpoints.length ? data.endpoints[0] : "";
  };

  function draw() {
    if (data === null) return;
    for (const chart of data.charts) {
      const place = document.getElementById("plot-" + chart.id);
      const drawn = traces(chart, picked());
      Plotly.react(place, drawn, layout(chart, picked(), place.clientWidth, drawn),
        { displaylogo: false, displayModeBar: false, doubleClick: "reset" });
    }
  }

  // theme: what the reader chose, else what the system prefers
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const remember = (key, value) => { try { localStorage.setItem(key, value); } catch { /* a page from a file may not */ } };
  try {
    const kept = localStorage.getItem("soak-theme");
    if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  } catch { /* nothing kept */ }
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    remember("soak-theme", root.dataset.theme);
    draw();
  });
  dark.addEventListener("change", draw);
  document.addEventListener("change", (event) => { if (event.target.id === "endpoint") draw(); });

  let before;
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    root.dataset.theme = "light";
    root.classList.add("printing");
    document.querySelectorAll("section details").forEach((d) => { d.open = true; });
    draw();
  });
  addEventListener("afterprint", () => {
    if (before) root.dataset.theme = before; else delete root.dataset.theme;
    root.classList.remove("printing");
    draw();
  });

  let watched = null, width = 0, waiting = 0;
  const resized = new ResizeObserver(() => {
    if (watched.clientWidth === width || root.classList.contains("printing")) return;
    width = watched.clientWidth;
    clearTimeout(waiting);
    waiting = setTimeout(draw, 100);
  });

  // draws the charts of `fresh`; again and again where a run goes on
  function show(fresh) {
    data = fresh;
    [unit, seconds] = data.duration <= 300 ? ["s", 1] : data.duration <= 10800 ? ["min", 60] : ["h", 3600];
    const grid = document.querySelector(".grid");
    if (grid !== watched) {
      resized.disconnect();
      watched = grid;
      width = grid ? grid.clientWidth : 0;
      if (grid) resized.observe(grid);
    }
    draw();
  }

  const inside = document.getElementById("data");
  if (inside) show(JSON.parse(inside.textContent));
  else globalThis.soakCharts = { show };
})();
