// The charts: Vega-Lite specifications with the points of a workspace, drawn when they come into view.
const specifications = JSON.parse(document.getElementById("charts").textContent);
let vega = null;

function loadVega() {
  vega ||= unpacked(document.getElementById("vega")).then((text) => document.head.append(element("script", text)));
  return vega;
}

async function draw(place, name, sets, texts) {
  await loadVega();
  let text = JSON.stringify(specifications[name]).replaceAll('"@title"', JSON.stringify(texts.title));
  for (const list of ["formats", "colours", "names", "accuracies"]) text = text.replaceAll(`["@${list}"]`, JSON.stringify(texts[list] || []));
  const specification = { ...JSON.parse(text), datasets: sets, ...(texts.height ? { height: texts.height } : {}) };
  if (place.clientWidth < 500) specification.config.legend.layout = { bottom: { direction: "vertical", anchor: "start" } };
  if (texts.without !== undefined) specification.layer.splice(texts.without, 1);
  const { view } = await vegaEmbed(place, specification, { actions: false, renderer: "svg", tooltip: { theme: "custom" } });
  place.replaced?.finalize();
  place.replaced = view;
}

// The files in a chart and their colours: each format has its own, in every chart of the workspace.
function formatsIn(points, known) {
  const all = [...new Set([...known, ...points.map((point) => point.subject)])], present = new Set(points.map((point) => point.subject));
  const formats = all.filter((name) => present.has(name));
  return { formats, colours: formats.map((name) => `var(--c${all.indexOf(name) % 10})`) };
}
const timed = (value) => (value < 100 ? value.toFixed(1) : value < 10000 ? value.toFixed(0) : (value / 1000).toFixed(1) + " ms").replace(/^([\d.]+)$/, "$1 µs");
const passes = (point, chosen) => (!chosen.format || point.format === chosen.format) && (!chosen.runtime || point.runtime === chosen.runtime);

// Nothing else is both as fast and more accurate, nor as accurate and faster.
function frontOf(points) {
  const front = [];
  for (const point of [...points].sort((a, b) => a.time - b.time || b.accuracy - a.accuracy)) {
    if (!front.length || point.accuracy > front.at(-1).accuracy) front.push(point);
  }
  return front;
}

function accuracies(points) {
  const values = points.map((point) => point.accuracy), low = Math.min(...values), high = Math.max(...values);
  const middle = (low + high) / 2, half = Math.max((high - low) * 0.6, 0.005); // at least a point: one image more or less is no cliff
  return [Math.max(middle - half, 0), Math.min(middle + half, 1)];
}

function drawScatter(section, group, known) {
  const points = group.points.filter((point) => passes(point, chosenOf(section))), front = frontOf(points);
  const predicted = group.kind === "predicted";
  const said = (point) => (predicted ? `predicted ${point.time.toPrecision(3)} ms (${point.low.toPrecision(3)} to ${point.high.toPrecision(3)})` : `measured ${timed(point.time)}`);
  const title = predicted ? `predicted time, ms, on ${group.title}: not measured` : `measured median, µs, on ${group.title}`;
  part(section, "scatter-note").textContent =
    `Larger symbols: larger files. Dashed: the Pareto front; no other file is both faster and at least as accurate. Bars: ` +
    (predicted ? "the predicted interval; where two overlap, which is faster is not decided." : "the middle half of all runs.");
  const columns = [["format"], ["runtime"], [predicted ? "predicted (interval)" : "measured, median", predicted ? "Predicted, not measured." : "Measured on " + group.title + "."],
    ["accuracy", "Share of the validation images answered right."], ["drop, pp (95 %)", "Percentage points lost, with the one-sided 95 % upper bound."], ["bytes", "Size of the file."], ["on the front"]];
  const rows = points.map((point) => [[point.subject], [point.runtime], [said(point)], [(100 * point.accuracy).toFixed(2) + " %"], [point.drop], [grouped(point.bytes)], [front.includes(point) ? "yes" : "no"]]);
  fill(part(section, "scatter-table"), () => tableOf("Accuracy against time", columns, rows));
  if (!points.length) return part(section, "scatter").replaceChildren(element("p", "No file of that kind has a time there.", { class: "soft" }));
  const end = { time: Math.max(...points.map((point) => point.time)), accuracy: front.at(-1).accuracy }; // so that a front of one file is a line, too
  const sets = { points: points.map((point) => ({ ...point, said: said(point) })), front: [...front, end] };
  return draw(part(section, "scatter"), "scatter", sets, { title, ...formatsIn(points, known), accuracies: accuracies(points) });
}

function drawDistributions(section, session, known) {
  const rows = session.rows.filter((row) => passes(row, chosenOf(section))).sort((a, b) => a.p50 - b.p50);
  const ratio = Math.pow(session.high / session.low, 1 / 64);
  const named = (row) => `${row.subject} · ${row.runtime}`;
  const bins = rows.flatMap((row) => {
    const most = Math.max(...row.counts);
    return row.counts.flatMap((count, index) => (count ? [{ name: named(row), subject: row.subject, low: session.low * ratio ** index, high: session.low * ratio ** (index + 1), share: 0.03 + 0.92 * Math.sqrt(count / most) }] : []));
  });
  const marks = rows.map((row) => {
    const said = `p50 ${timed(row.p50)}` + (row.p99 === null ? "" : `, p99 ${timed(row.p99)}`);
    return { name: named(row), label: `${named(row)}: ${timed(row.p50)}`, p50: row.p50, said };
  });
  const warning = part(section, "distributions-warning");
  warning.hidden = !session.warning;
  warning.textContent = `Not to be trusted: ${session.warning}`;
  const title = `measured time of one image, µs, on ${session.title}`;
  return draw(part(section, "distributions"), "distributions", { bins, marks }, { title, ...formatsIn(rows, known), names: rows.map(named), height: 36 * Math.max(rows.length, 1) });
}

function historyLines(series, chosen) {
  const { names, rows } = series;
  const read = ([utc, commit, artifact, format, runtime, host, bytes, value, low, high]) => ({
    when: utc.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"), commit: names.commit[commit] || "no commit",
    artifact: names.artifact[artifact], format: names.format[format], subject: names.format[format], runtime: names.runtime[runtime], host: names.host[host], bytes, value, low, high,
    series: `${names.artifact[artifact]} on ${names.runtime[runtime]}` + (names.host.length > 1 ? `, machine ${names.host[host]}` : ""),
    said: low === undefined ? `${series.measure} ${value} ${series.unit}` : `predicted ${value} ms (${low} to ${high})`,
  });
  return rows.map(read).filter((line) => passes(line, chosen));
}

function drawHistory(section, series, known) {
  const lines = historyLines(series, chosenOf(section));
  part(section, "history-count").textContent = `${grouped(lines.length)} measurements`;
  const about = { µs: "Measured median, encode pixels, run, take the label.", ms: "Predicted, not measured, with its interval.", M: "Instructions of one inference; compare within one format, runtime and core." }[series.unit];
  const columns = [["artifact"], ["runtime"], ["commit"], ["when"], [series.measure, about], ["bytes", "Size of the file."]];
  fill(part(section, "history-table"), () => tableOf("History", columns, [...lines].reverse().map((line) => [[line.artifact], [line.runtime], [line.commit], [line.when.slice(0, 16).replace("T", " ")], [line.said], [grouped(line.bytes)]])));
  const title = `${series.measure}${series.measure === "predicted" ? " time" : ""}, ${series.unit}`;
  return draw(part(section, "history"), "history", { lines }, { title, ...formatsIn(lines, known), ...(series.measure === "predicted" ? {} : { without: 0 }) }); // no band of intervals
}

// A table is made when it is unfolded, and made anew once it is another's.
function fill(details, make) {
  const build = () => {
    details.querySelector(".scroll")?.remove();
    if (details.open) details.append(make());
  };
  details.ontoggle = build;
  build();
}

// kind: [the workspace's list of things to choose from, what one is called, how it is drawn]
const CHARTS = {
  scatter: ["points", (group) => `${group.title} (${group.kind})`, drawScatter],
  distributions: ["histograms", (session) => session.title + (session.warning ? " (INVALID)" : ""), drawDistributions],
  history: ["history", (series) => `${series.title}: ${series.measure}, ${series.unit}`, drawHistory],
};

function setUpCharts(section) {
  const waiting = new Map();
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      seen.unobserve(entry.target);
      waiting.get(entry.target)();
    }
  }, { rootMargin: "300px" });
  for (const select of section.querySelectorAll("[data-chart]")) {
    const [list, called, drawOne] = CHARTS[select.dataset.chart], place = part(section, select.dataset.chart);
    let all = null, known = [];
    const update = () => Promise.resolve(drawOne(section, all[select.value], known)).catch(console.error);
    waiting.set(place, async () => {
      const data = await dataOf(section);
      [all, known] = [data[list], data.formats];
      all.forEach((one, index) => select.append(element("option", called(one), { value: index })));
      follow();
    });
    const follow = () => {
      if (!all) return;
      const target = chosenOf(section).target, index = all.findIndex((one) => one.target === target);
      if (index >= 0 && all[select.value].target !== target) select.value = index;
      update();
    };
    select.addEventListener("change", update);
    section.addEventListener("filtered", follow);
    seen.observe(place);
  }
}
