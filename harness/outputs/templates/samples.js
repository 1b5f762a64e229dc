"use strict";
// The sample view: unpacks its blocks when it is opened. Everything a model wrote becomes text, never markup.
const UNKNOWN = 2; // a difference that is none: behind all others
const PAGE = 25, FULL = 250, UNSCORED = 253, FAILED = 254, NOT_ASKED = 255, FEW_COLUMNS = 8;
const view = document.getElementById("sample-view");
let head = null, page = 0, opened = null;
const blocks = new Map();

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place++) bytes[place] = text.charCodeAt(place);
  return bytes;
}
async function unpacked(name) {
  if (!blocks.has(name)) {
    const block = document.getElementById(name);
    if (!block) return null;
    const stream = new Blob([bytesOf(block.textContent)]).stream().pipeThrough(new DecompressionStream("gzip"));
    blocks.set(name, new Response(stream).json());
  }
  return blocks.get(name);
}
function made(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "scope") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}
const form = view?.querySelector("form");
const chosen = (name) => Number(form.elements[name].value);
const titled = (trial) => `${trial.number}${trial.number === head.chosen ? " ★" : ""}: ${trial.words}`;
const score = (number, place) => head.bytes.get(number)?.[place] ?? NOT_ASKED;

async function load() {
  head = await unpacked("samples-head");
  head.bytes = new Map(head.trials.map((trial, at) => [trial.number, bytesOf(head.scores[at])]));
  head.borrowed = new Map(head.trials.map((trial, at) => [trial.number, new Set(head.near[at])]));
  head.low = head.ids.map((id, at) => `${id}\n${head.inputs[at]}\n${head.targets[at]}`.toLowerCase());
  const first = head.trials[0].number;
  for (const name of ["left", "right"]) {
    form.elements[name].append(...head.trials.map((t) => made("option", { value: t.number, textContent: titled(t) })));
  }
  form.elements.left.value = first;
  form.elements.right.value = (head.trials.find((trial) => trial.number !== first) ?? head.trials[0]).number;
  form.elements.split.value = head.finalists.length ? "confirm" : "";
  view.querySelector("caption").textContent =
    "Scores from 0 to 1, a row a sample; – not asked, ? nobody could judge it, ✕ no answer" +
    (head.near.some((places) => places.length) ? ", ≈ judged by the answer to another, near prompt." : ".");
}
function known(byte) { return byte <= FULL; }
// What has no score counts as the run counts it: as wrong, or not at all.
function counts(byte) { return known(byte) || head.lost === "wrong"; }
function value(byte) { return known(byte) ? byte / FULL : 0; }
function wanted(place, left, right) {
  const [a, b, show] = [score(left, place), score(right, place), form.elements.show.value];
  if (a === NOT_ASKED || b === NOT_ASKED) return false;
  const both = counts(a) && counts(b);
  if (show === "worse") return both && value(a) < value(b);
  if (show === "better") return both && value(a) > value(b);
  if (show === "wrong") return both && value(a) < 0.5 && value(b) < 0.5;
  if (show === "lost") return !known(a) || !known(b);
  return true;
}
function places() {
  const [left, right, split] = [chosen("left"), chosen("right"), form.elements.split.value];
  const text = form.elements.text.value.trim().toLowerCase();
  const found = [];
  for (let place = 0; place < head.ids.length; place++) {
    if (split && head.splits[place] !== split) continue;
    if (text && !head.low[place].includes(text)) continue;
    if (wanted(place, left, right)) found.push(place);
  }
  const lead = (place) => {
    const [a, b] = [score(left, place), score(right, place)];
    return counts(a) && counts(b) ? value(a) - value(b) : UNKNOWN;
  };
  return found.map((place) => [lead(place), place]).sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}
function columns() {
  const [left, right] = [chosen("left"), chosen("right")];
  const others = head.trials.map((trial) => trial.number).filter((number) => number !== left && number !== right);
  const finalists = others.filter((number) => head.finalists.includes(number));
  const few = [...finalists, ...others.filter((number) => !head.finalists.includes(number))].slice(0, FEW_COLUMNS);
  return [left, right, ...(form.elements.every.checked ? others : few)];
}
function scoreCell(number, place) {
  const byte = score(number, place), near = head.borrowed.get(number)?.has(place);
  const names = { [NOT_ASKED]: ["–", "not asked"], [UNSCORED]: ["?", "unscored"], [FAILED]: ["✕", "no answer"] };
  const [text, title] = names[byte] ?? [String(Math.round(byte / FULL * 100) / 100), ""];
  const shade = byte <= FULL ? `s${Math.round(byte / FULL * 4)}` : byte === FAILED ? "s0" : "none";
  return made("td", near
    ? { className: `score ${shade} near`, title: "the answer to another, near prompt", textContent: `≈ ${text}` }
    : { className: `score ${shade}`, title, textContent: text });
}
function sampleRow(place, lead, numbers) {
  const button = made("button", { type: "button", textContent: head.ids[place], "aria-expanded": String(place === opened) });
  button.addEventListener("click", () => detail(place));
  const sign = lead === UNKNOWN ? "?" : `${lead > 0 ? "+" : ""}${Math.round(lead * 100) / 100}`;
  return made("tr", { className: place === opened ? "recommended" : "" },
    made("th", { scope: "row" }, button),
    made("td", { className: "clip" }, made("bdi", { textContent: head.targets[place] })),
    made("td", { className: "n", textContent: sign }),
    ...numbers.map((number) => scoreCell(number, place)));
}
function headRow(numbers) {
  const heading = (number, at) => {
    const words = at === 0 ? "left" : at === 1 ? "right" : "";
    const button = made("button", { type: "button", textContent: String(number), title: `Compare with trial ${number}` });
    button.addEventListener("click", () => { form.elements.right.value = number; page = 0; draw(); });
    return made("th", { scope: "col", className: `score ${words}` }, at === 0 ? String(number) : button);
  };
  return made("tr", {}, ...["Sample", "Target", "Difference"].map((text, at) =>
    made("th", { scope: "col", className: at === 2 ? "n" : "", textContent: text })), ...numbers.map(heading));
}
function draw() {
  const found = places(), numbers = columns();
  const pages = Math.max(1, Math.ceil(found.length / PAGE));
  page = Math.min(Math.max(0, page), pages - 1);
  const count = (test) => found.filter(([lead]) => lead !== UNKNOWN && test(lead)).length;
  view.querySelector("[data-count]").textContent =
    `${found.length} samples; trial ${chosen("left")} is worse on ${count((l) => l < 0)}, better on ` +
    `${count((l) => l > 0)}, equal on ${count((l) => l === 0)}`;
  view.querySelector("[data-where]").textContent = `page ${page + 1} of ${pages}`;
  for (const button of view.querySelectorAll("[data-page]")) {
    button.disabled = Number(button.dataset.page) < 0 ? page === 0 : page === pages - 1;
  }
  const shown = found.slice(page * PAGE, (page + 1) * PAGE);
  view.querySelector("thead").replaceChildren(headRow(numbers));
  view.querySelector("tbody").replaceChildren(...shown.map(([lead, place]) => sampleRow(place, lead, numbers)));
}
async function answersOf(number, place) {
  const answers = await unpacked(`answers-${number}-${head.splits[place]}`);
  if (!answers) return null;
  return answers.place.flatMap((where, at) => where === place ? [at] : []).map((at) =>
    Object.fromEntries(Object.entries(answers).map(([name, column]) => [name, column[at]])));
}
function answerParts(answer, several) {
  const facts = [answer.score === null ? "unscored" : `score ${answer.score}`,
    answer.ended && answer.ended !== "stop" ? answer.ended : "",
    answer.seconds === null ? "" : `${answer.seconds} s`].filter(Boolean).join(", ");
  const text = answer.text === null ? "No answer." : answer.text.trim() === "" ? "An empty answer." : null;
  return [
    made("p", { className: "small" }, made("strong", { textContent: facts }), several ? ` repeat ${answer.repeat}` : ""),
    text ? made("p", { className: "small muted", textContent: text })
      : made("pre", { tabIndex: 0, textContent: answer.text, "aria-label": "Answer" }),
    ...(answer.said ? [made("p", { className: "small muted" }, made("bdi", { textContent: answer.said }))] : []),
  ];
}
async function side(number, place) {
  const answers = await answersOf(number, place);
  const trial = head.trials.find((one) => one.number === number);
  const heading = made("h4", {}, "Trial ", titled(trial));
  if (!answers) return made("div", {}, heading, made("p", { className: "small muted", textContent: "Its texts found no room in this page; scores.parquet holds them." }));
  return made("div", {}, heading, ...answers.flatMap((answer) => answerParts(answer, answers.length > 1)));
}
async function detail(place) {
  const region = document.getElementById("sample-detail");
  opened = place;
  const sides = await Promise.all([side(chosen("left"), place), side(chosen("right"), place)]);
  const asked = head.inputs[place] ? [made("h4", { textContent: "Input" }), made("pre", { tabIndex: 0, textContent: head.inputs[place], "aria-label": "Input" })] : [];
  region.replaceChildren(
    made("h3", {}, "Sample ", made("bdi", { textContent: head.ids[place] }), ` (${head.splits[place]} split)`),
    made("div", { className: "columns" }, made("div", {}, ...asked),
      made("div", {}, made("h4", { textContent: "Target" }), made("pre", { tabIndex: 0, textContent: head.targets[place], "aria-label": "Target" }))),
    made("div", { className: "columns" }, ...sides));
  region.hidden = false;
  draw();
  region.focus({ preventScroll: true });
  region.scrollIntoView({ block: "nearest" });
}
async function open() {
  if (!head) await load();
  draw();
}
if (view) {
  view.addEventListener("toggle", () => { if (view.open) open(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => { page = 0; draw(); if (opened !== null) detail(opened); });
  for (const button of view.querySelectorAll("[data-page]")) {
    button.addEventListener("click", () => { page += Number(button.dataset.page); draw(); });
  }
  document.addEventListener("compare-trial", async (event) => {
    if (!head) await load();
    const number = event.detail;
    if (!head.bytes.has(number)) return;
    form.elements[number === chosen("left") ? "left" : "right"].value = number;
    if (!head.finalists.includes(number)) form.elements.split.value = "";
    page = 0;
    view.open = true;
    draw();
    document.getElementById("samples").scrollIntoView();
  });
}
