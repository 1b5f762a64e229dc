"use strict";
// Tables: a button in each heading sorts by the cell's data-order; unknown figures stay last.
function order(row, column) { return row.cells[column]?.dataset.order ?? row.cells[column]?.textContent.trim() ?? ""; }
function unknown(row, column) { return row.cells[column]?.classList.contains("n") && !row.cells[column].dataset.order; }
function sort(table, column, heading) {
  const up = heading.getAttribute("aria-sort") !== "ascending";
  const body = table.tBodies[0];
  const rows = [...body.rows].sort((a, b) => {
    const [lost, other] = [unknown(a, column), unknown(b, column)];
    if (lost || other) return lost - other;
    const [x, y] = [order(a, column), order(b, column)];
    const text = x === "" || y === "" || Number.isNaN(Number(x)) || Number.isNaN(Number(y));
    const difference = text ? x.localeCompare(y) : Number(x) - Number(y);
    return up ? difference : -difference;
  });
  for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", up ? "ascending" : "descending");
  body.append(...rows);
}
for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    if (heading.querySelector(".unseen")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sort(table, column, heading));
    heading.append(button);
  });
}
// Filters: what is typed, and the state of a trial.
for (const form of document.querySelectorAll("form.filters[data-table]")) {
  const table = document.getElementById(form.dataset.table);
  const rows = [...table.tBodies[0].rows];
  const words = rows.map((row) => row.textContent.toLowerCase());
  const filter = () => {
    const text = form.elements.text.value.trim().toLowerCase();
    const state = form.elements.state.value;
    let shown = 0;
    rows.forEach((row, at) => {
      row.hidden = !words[at].includes(text) || (state !== "" && row.dataset.state !== state);
      shown += !row.hidden;
    });
    form.querySelector("output").textContent = `${shown} of ${rows.length} trials`;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();
}
for (const hidden of document.querySelectorAll(".scripted")) hidden.hidden = false;
// A table that goes on beyond the edge has a shadow there; without it, a phone shows no sign of the rest.
for (const part of document.querySelectorAll(".scroll")) {
  const mark = () => part.classList.toggle("more", part.scrollLeft + part.clientWidth < part.scrollWidth - 1);
  part.addEventListener("scroll", mark, { passive: true });
  new ResizeObserver(mark).observe(part);
}
