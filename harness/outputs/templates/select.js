"use strict";
// One trial is marked on the whole page: in the pictures, the tables and the bar below. The address keeps it.
const bar = document.getElementById("picked");
const ADDRESS = /^#trial-(\d+)$/;
function numberIn(address) {
  const found = ADDRESS.exec(address);
  return found && document.getElementById(address.slice(1)) ? Number(found[1]) : null;
}
function words(row, column) { return row.cells[column].innerText.replace(/\s+/g, " ").trim(); }
function show(number) {
  const row = document.getElementById(`trial-${number}`);
  const told = {
    number: String(number),
    state: row.dataset.state,
    settings: words(row, 2),
    figures: `${words(row, 4)}, ${words(row, 5)} per 1,000 calls, p50 ${words(row, 6)}`,
  };
  for (const [name, text] of Object.entries(told)) bar.querySelector(`[data-show="${name}"]`).textContent = text;
  bar.querySelector('[data-show="row"]').href = `#trial-${number}`;
}
function select(number) {
  for (const marked of document.querySelectorAll(".picked")) {
    marked.classList.remove("picked");
    if (marked.tagName === "TR") marked.removeAttribute("aria-current");
  }
  bar.hidden = number === null;
  if (number === null) return;
  for (const part of document.querySelectorAll(`[data-trial="${number}"]`)) {
    part.classList.add("picked");
    if (part.tagName === "TR") part.setAttribute("aria-current", "true");
    else part.parentNode.append(part); // drawn last, a point lies on top
  }
  show(number);
}
function remember(number) {
  history.replaceState(null, "", number === null ? location.pathname + location.search : `#trial-${number}`);
  select(number);
}
if (bar) {
  document.addEventListener("click", (event) => {
    const point = event.target.closest("svg [data-trial]");
    if (point) remember(Number(point.dataset.trial));
    const link = event.target.closest('a[href^="#trial-"]');
    if (link) select(numberIn(link.getAttribute("href")));
  });
  addEventListener("hashchange", () => { if (ADDRESS.test(location.hash)) select(numberIn(location.hash)); });
  bar.querySelector("[data-clear]").addEventListener("click", () => remember(null));
  bar.querySelector("[data-compare]")?.addEventListener("click", () => {
    const number = Number(bar.querySelector('[data-show="number"]').textContent);
    document.dispatchEvent(new CustomEvent("compare-trial", { detail: number }));
  });
  select(numberIn(location.hash));
}
