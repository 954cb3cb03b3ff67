const part = (section, name) => section.querySelector(`[data-part="${name}"]`);
const signed = (value, digits = 0) => (value > 0 ? "+" : value < 0 ? "−" : "") + Math.abs(value).toFixed(digits);
const grouped = (count) => count.toLocaleString("en");

function element(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Text that the page holds compressed (zlib, base64): unpacked when first needed.
function unpacked(script) {
  const bytes = Uint8Array.from(atob(script.textContent.trim()), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).text();
}

// What a workspace's drawings are made from.
const read = new WeakMap();
function dataOf(section) {
  if (!read.has(section)) read.set(section, unpacked(section.querySelector("script.data")).then(JSON.parse));
  return read.get(section);
}

// A table in a region that scrolls. columns: [name, about (numbers only)]; rows: [[text, tip]], the first cell is the row's name.
function tableOf(label, columns, rows) {
  const table = element("table"), head = element("tr"), top = element("thead"), body = element("tbody");
  for (const [name, about] of columns) head.append(element("th", name, { scope: "col", ...(about ? { class: "number", "data-about": about } : {}) }));
  for (const cells of rows) {
    const line = element("tr");
    cells.forEach(([text, tip], index) => {
      const attributes = { ...(columns[index][1] ? { class: "number" } : {}), ...(tip ? { "data-tip": tip } : {}) };
      line.append(index ? element("td", text, attributes) : element("th", text, { scope: "row", ...attributes }));
    });
    body.append(line);
  }
  top.append(head);
  table.append(top, body);
  const region = element("div", "", { class: "scroll", role: "region", tabindex: 0, "aria-label": `${label}; arrow keys read its cells` });
  region.append(table);
  return region;
}
