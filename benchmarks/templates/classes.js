// Class by class: how the confusion matrix and each class's recall changed in the export chosen.
const RECALL = {
  class: "",
  change: "Recall of the export minus that of the baseline, percentage points.",
  "": "",
  baseline: "Share of the class's images that the Keras baseline answers right.",
  export: "Share of the class's images that the export answers right.",
  images: "Validation images of the class.",
};

function drawConfusion(table, data, change) {
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
      const title = `truth ${data.classes[truth]}, answer ${data.classes[answer]}: ${signed(count)} images, export minus baseline, of ${grouped(change.images)}.`;
      line.append(element("td", count ? signed(count) : "0", { class: names, "data-tip": title, ...(count ? { style: shade } : {}) }));
    }
    return line;
  });
  const [top, body] = [element("thead"), element("tbody")];
  top.append(head);
  body.append(...lines);
  table.replaceChildren(top, body);
}

function drawRecall(table, data, change) {
  const points = change.recall.map(([label, images, before, after]) => [label, images, 100 * before, 100 * after]);
  const most = Math.max(1, ...points.map(([, , before, after]) => Math.abs(after - before))); // at least a point: one flip is no cliff
  const top = element("thead"), body = element("tbody"), head = element("tr");
  for (const [name, about] of Object.entries(RECALL)) {
    head.append(element("th", name, { scope: "col", class: about ? "number" : "", "data-about": about }));
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

function setUpClasses(section, data) {
  const chooser = part(section, "row");
  const show = () => {
    const change = data.rows[chooser.value];
    const moved = change.cells.length ? "" : "; no answer differs from the baseline's";
    part(section, "row-note").textContent = `on ${grouped(change.images)} images${moved}`;
    drawConfusion(part(section, "confusion"), data, change);
    drawRecall(part(section, "recall"), data, change);
  };
  chooser.addEventListener("change", show);
  show();
}

// What each layer costs: a table is made when it is unfolded.
function setUpLayers(section) {
  section.querySelectorAll("details.costs").forEach((details, index) => {
    details.addEventListener("toggle", async () => {
      const { label, columns, rows } = (await dataOf(section)).layers[index];
      if (!details.querySelector("table")) details.append(tableOf(label, columns, rows));
    });
  });
}

// Who agrees with whom.
function setUpAgreement(section, { forms }) {
  const table = part(section, "forms"), head = element("tr"), top = element("thead"), body = element("tbody");
  const called = (form) => [form.subject, element("small", form.place)];
  head.append(element("td"));
  for (const form of forms) {
    const name = element("th", "", { scope: "col", class: form.usual ? "" : "more" }), upright = element("span");
    upright.append(...called(form));
    name.append(upright);
    head.append(name);
  }
  forms.forEach((form, index) => {
    const line = element("tr", "", { class: form.usual ? "" : "more" }), name = element("th", "", { scope: "row" });
    name.append(...called(form));
    line.append(name);
    form.agreements.forEach(([text, depth], column) => {
      const other = forms[column], classes = (column === index ? "same" : "") + (other.usual ? "" : " more");
      const words = `${form.subject}, ${form.place} and ${other.subject}, ${other.place}: the same answer on ${text} % of the images.`;
      const shade = depth ? { style: `--hue: var(--depth); --share: ${(8 + 72 * depth).toFixed(0)}%` } : {};
      line.append(element("td", column === index ? "·" : text, { class: classes, "data-tip": words, ...shade }));
    });
    body.append(line);
  });
  top.append(head);
  table.replaceChildren(top, body);
  const everyKernel = part(section, "all-kernels");
  if (everyKernel) everyKernel.addEventListener("change", () => table.classList.toggle("all", everyKernel.checked));
}
