"use strict";

// The button in a column's heading sorts the table by that column, and reverses the order when it is pressed again.
// Rows with equal values keep their order, and cells without a value stay last.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  for (const heading of headings) {
    const button = heading.querySelector("button");
    if (!button) continue;
    button.addEventListener("click", () => {
      const column = headings.indexOf(heading);
      const now = heading.getAttribute("aria-sort");
      const order =
        now === "none" ? heading.dataset.first : now === "ascending" ? "descending" : "ascending";
      const sign = order === "ascending" ? 1 : -1;
      const value = (row) => row.cells[column].dataset.value;
      const compare = (a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        const numeric = Number(x) - Number(y);
        return sign * (Number.isNaN(numeric) ? x.localeCompare(y) : numeric);
      };
      for (const other of headings) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", order);
      body.append(...[...body.rows].sort(compare));
    });
  }
}

// A number links to its query, which is in a part that is closed: open it, so that the browser can go there.
for (const link of document.querySelectorAll('a[href*="-cell-"]')) {
  link.addEventListener("click", () => {
    document.getElementById(link.hash.slice(1)).closest("details").open = true;
  });
}

// A report that is read days after it was made says how old its newest bar is now.
const newestBar = document.getElementById("newest-bar");
if (newestBar.dataset.date) {
  const day = 86400000;
  const since = (date) => Math.floor((Date.now() - Date.parse(date)) / day);
  const old = since(newestBar.dataset.date);
  if (since(newestBar.dataset.made) > 0) newestBar.append(` Today that is ${old.toLocaleString("en")} days ago.`);
  if (old > Number(newestBar.dataset.limit)) newestBar.classList.add("warn");
}

// Colours and fonts of the figures are names of custom properties of the stylesheet. Replace them by the properties'
// values, and again when the reader's light or dark scheme changes. Draw one figure at a time, so that the page stays
// responsive.
const source = document.getElementById("figures");
if (source) {
  const figures = JSON.parse(source.textContent);
  const plots = [...document.querySelectorAll(".plot")];
  const painted = (value, style) => {
    if (typeof value === "string") return value.startsWith("--") ? style.getPropertyValue(value).trim() : value;
    if (Array.isArray(value)) return value.map((item) => painted(item, style));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, painted(item, style)]));
  };
  let drawing = 0;
  const draw = () => {
    const mine = ++drawing;
    const style = getComputedStyle(document.documentElement);
    const next = (place) => {
      if (place === plots.length || mine !== drawing) return;
      const plot = plots[place];
      const { data, layout } = painted(figures[plot.dataset.figure], style);
      Plotly.react(plot, data, layout, { displayModeBar: false, responsive: true }).then(() =>
        setTimeout(next, 0, place + 1),
      );
    };
    next(0);
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}
