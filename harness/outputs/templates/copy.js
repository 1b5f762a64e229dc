"use strict";
// Copying: a button for each text that is there to be copied, and tables as CSV.
const said = document.createElement("div");
said.setAttribute("role", "status");
said.className = "unseen";
document.body.append(said);
function selected(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
}
async function copy(text, button, element) {
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Some viewers of artifacts forbid the clipboard: then the text is at least marked.
    if (element) selected(element);
    done = Boolean(element) && document.execCommand("copy");
  }
  const words = done ? "Copied" : "Press Ctrl+C";
  said.textContent = done ? "Copied to the clipboard." : "Copying is not allowed here; the text is selected.";
  const before = button.dataset.words ??= button.textContent;
  button.textContent = words;
  setTimeout(() => { button.textContent = before; }, 2000);
}
for (const part of document.querySelectorAll(".copyable")) {
  const text = part.querySelector("pre");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy ${text.getAttribute("aria-label")}`);
  button.addEventListener("click", () => copy(text.textContent, button, text));
  part.append(button);
}
// A cell that begins like a formula would be run by a spreadsheet: it gets a quote in front, unless it is a number.
function field(text) {
  const line = text.replace(/\s+/g, " ").trim();
  const formula = /^[=+\-@\t\r]/.test(text.trimStart()) && Number.isNaN(Number(line.replace(/%$/, "")));
  return `"${(formula ? "'" : "") + line.replaceAll('"', '""')}"`;
}
// A figure with its interval is four numbers for a spreadsheet: "0.38 [0.14, 0.69], n=8" fills four columns.
const INTERVAL = /^(.+?) \[(.+?), (.+?)\](?:, n=(.+))?$/;
function spread(rows) {
  const texts = rows.map((row) => [...row.cells].map((cell) => cell.innerText.replace(/\s+/g, " ").trim()));
  const wide = [...rows[0].cells].map((head, at) =>
    head.classList.contains("n") && texts.slice(1).some((row) => INTERVAL.test(row[at] ?? "")));
  return texts.map((row, line) => row.flatMap((text, at) => {
    if (!wide[at]) return [text];
    if (line === 0) return [text, `${text} low`, `${text} high`, `${text} n`];
    const found = INTERVAL.exec(text);
    return found ? [found[1], found[2], found[3], (found[4] ?? "").replace(/\D/g, "")] : [text, "", "", ""];
  }));
}
for (const button of document.querySelectorAll("[data-csv]")) {
  button.addEventListener("click", () => {
    const table = document.getElementById(button.dataset.csv);
    const rows = [...table.rows].filter((row) => !row.hidden);
    copy(spread(rows).map((row) => row.map(field).join(",")).join("\r\n") + "\r\n", button);
  });
}
