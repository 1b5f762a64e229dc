"use strict";
// Pictures: colours are names of style variables, so that one figure serves light, dark and paper.
const figures = [...document.querySelectorAll("[data-figure]")].map((place) => ({
  place, figure: JSON.parse(document.getElementById(place.dataset.figure).textContent),
}));
function coloured(value, style) {
  if (typeof value === "string") {
    const name = /^var\((--[a-z-]+)\)$/.exec(value);
    return name ? style.getPropertyValue(name[1]).trim() : value;
  }
  if (Array.isArray(value)) return value.map((part) => coloured(part, style));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, coloured(part, style)]));
}
function draw(width) {
  const style = getComputedStyle(document.documentElement);
  const family = getComputedStyle(document.body).fontFamily;
  for (const { place, figure } of figures) {
    const { data, layout } = coloured(figure, style);
    layout.font.family = family;
    if (width) layout.width = width;
    Plotly.newPlot(place, data, layout, { responsive: true, displayModeBar: false });
  }
}
draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
// Neither style nor width of the paper applies yet when the pictures are redrawn for it.
const PAPER_WIDTH = 680;
addEventListener("beforeprint", () => { document.documentElement.dataset.theme = "light"; draw(PAPER_WIDTH); });
addEventListener("afterprint", () => { delete document.documentElement.dataset.theme; draw(); });
// Tables: a button in each heading sorts by the cell's data-order; unknown figures stay last.
function sort(table, column, heading) {
  const up = heading.getAttribute("aria-sort") !== "ascending";
  const body = table.tBodies[0];
  const order = (row) => row.cells[column].dataset.order ?? "";
  const rows = [...body.rows].sort((a, b) => {
    const [x, y] = [order(a), order(b)];
    if (x === "" || y === "") return (x === "") - (y === "");
    const text = Number.isNaN(Number(x)) || Number.isNaN(Number(y));
    const difference = text ? x.localeCompare(y) : Number(x) - Number(y);
    return up ? difference : -difference;
  });
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", up ? "ascending" : "descending");
  body.append(...rows);
}
for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sort(table, column, heading));
    heading.append(button);
  });
}
