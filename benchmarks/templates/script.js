"use strict";
const data = JSON.parse(document.getElementById("data").textContent);

function element(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const signed = (value, digits = 0) => (value > 0 ? "+" : value < 0 ? "−" : "") + Math.abs(value).toFixed(digits);

function drawConfusion(table, change) {
  const counts = new Map(change.cells.map(([truth, answer, count]) => [truth + "," + answer, count]));
  const most = Math.max(1, ...change.cells.map((cell) => Math.abs(cell[2])));
  const head = element("tr");
  const names = data.classes.map((name) => (name.length > 18 ? name.slice(0, 9) + "…" + name.slice(-8) : name));
  const upright = change.shown.some((label) => names[label].length > 4);
  for (const label of change.shown) {
    const name = element("th", upright ? "" : names[label], { scope: "col", title: data.classes[label] });
    if (upright) name.append(element("span", names[label]));
    head.append(name);
  }
  head.prepend(element("td"));
  const lines = change.shown.map((truth) => {
    const line = element("tr");
    line.append(element("th", names[truth], { scope: "row", title: data.classes[truth] }));
    for (const answer of change.shown) {
      const count = counts.get(truth + "," + answer) || 0;
      const shade = `--hue: var(--${count > 0 ? "more" : "less"}); --share: ${15 + (60 * Math.abs(count)) / most}%`;
      const names = (truth === answer ? "same" : "") + (count ? "" : " none");
      const title = `truth ${data.classes[truth]}, answer ${data.classes[answer]}: ${signed(count)} images`;
      line.append(element("td", count ? signed(count) : "0", { class: names, title, ...(count ? { style: shade } : {}) }));
    }
    return line;
  });
  const [top, body] = [element("thead"), element("tbody")];
  top.append(head);
  body.append(...lines);
  table.replaceChildren(top, body);
}

function drawRecall(table, change) {
  const points = change.recall.map(([label, images, before, after]) => [label, images, 100 * before, 100 * after]);
  const most = Math.max(1, ...points.map(([, , before, after]) => Math.abs(after - before))); // at least a point: one flip is no cliff
  const top = element("thead"), body = element("tbody"), head = element("tr");
  for (const name of ["class", "change", "", "baseline", "export", "images"]) {
    head.append(element("th", name, { scope: "col", class: name && name !== "class" ? "number" : "" }));
  }
  top.append(head);
  for (const [label, images, before, after] of points) {
    const difference = after - before, share = (50 * Math.abs(difference)) / most;
    const line = element("tr"), cell = element("td", "", { class: "wide" }), track = element("span", "", { class: "track both" });
    const from = difference < 0 ? 50 - share : 50;
    track.append(element("i", "", { class: difference < 0 ? "loss" : "gain", style: `left: ${from}%; width: ${share}%` }));
    cell.append(track);
    line.append(element("th", data.classes[label], { scope: "row" }));
    const figures = [before.toFixed(2) + " %", after.toFixed(2) + " %", images.toLocaleString("en")];
    line.append(element("td", signed(difference, 2) + " pp", { class: "number" }), cell);
    line.append(...figures.map((figure) => element("td", figure, { class: "number" })));
    body.append(line);
  }
  table.replaceChildren(top, body);
}

const chooser = document.getElementById("row");
function showRow() {
  const change = data.rows[chooser.value];
  const moved = change.cells.length ? "" : "; no answer differs from the baseline's";
  document.getElementById("row-note").textContent = `on ${change.images.toLocaleString("en")} images${moved}`;
  drawConfusion(document.getElementById("confusion"), change);
  drawRecall(document.getElementById("recall"), change);
}
if (chooser) {
  chooser.addEventListener("change", showRow);
  showRow();
}

const everyKernel = document.getElementById("all-kernels");
if (everyKernel) everyKernel.addEventListener("change", () => document.getElementById("forms").classList.toggle("all", everyKernel.checked));

const filters = [...document.querySelectorAll("[data-filter]")];
function filterFlips() {
  const cards = [...document.querySelectorAll(".flip")];
  for (const card of cards) {
    card.hidden = filters.some((filter) => filter.value && !card.dataset[filter.dataset.filter].split("|").includes(filter.value));
  }
  document.getElementById("flips-shown").textContent = `${cards.filter((card) => !card.hidden).length} shown`;
}
for (const filter of filters) filter.addEventListener("change", filterFlips);
if (filters.length) filterFlips();
