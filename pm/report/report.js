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
      const value = (row) => {
        const cell = row.cells[column];
        const text = (cell.dataset.value ?? (cell.querySelector("a") ?? cell).textContent).trim();
        return text === "–" ? "" : text;
      };
      const number = (text) => Number(text.replace("−", "-").replace(/[,+%]/g, ""));
      const compare = (a, b) => {
        const [x, y] = [value(a), value(b)];
        if (x === "" || y === "") return (x === "") - (y === "");
        const numeric = number(x) - number(y);
        return sign * (Number.isNaN(numeric) ? x.localeCompare(y) : numeric);
      };
      for (const other of headings) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", order);
      body.append(...[...body.rows].sort(compare));
    });
  }
}

// A link can lead into a part that is closed: open it, so that the browser can go there.
const unfold = (hash) => {
  const target = document.getElementById(hash.slice(1));
  const closed = target?.closest("details:not([open])");
  if (!closed) return;
  closed.open = true;
  target.scrollIntoView();
};
for (const link of document.querySelectorAll('a[href^="#"]')) {
  link.addEventListener("click", () => unfold(link.hash));
}
unfold(location.hash);

// A report that is read days after it was made says how old its newest bar is now.
const newestBar = document.getElementById("newest-bar");
if (newestBar?.dataset.date) {
  const day = 86400000;
  const since = (date) => Math.floor((Date.now() - Date.parse(date)) / day);
  const old = since(newestBar.dataset.date);
  if (since(newestBar.dataset.made) > 0) newestBar.append(` Today that is ${old.toLocaleString("en")} days ago.`);
  if (old > Number(newestBar.dataset.limit)) {
    newestBar.classList.add("warn");
    newestBar.closest(".tile")?.classList.add("alarm");
  }
}
