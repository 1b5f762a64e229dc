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
for (const button of document.querySelectorAll("[data-csv]")) {
  button.addEventListener("click", () => {
    const table = document.getElementById(button.dataset.csv);
    const rows = [...table.rows].filter((row) => !row.hidden);
    copy(rows.map((row) => [...row.cells].map((cell) => field(cell.innerText)).join(",")).join("\r\n") + "\r\n", button);
  });
}
