// Sorting by the buttons in a table's head, and the filters of a workspace.
function keyOf(line, column) {
  const cell = line.cells[column];
  if (!cell || cell.textContent.trim() === "–") return null;
  return cell.dataset.key !== undefined ? Number(cell.dataset.key) : cell.textContent.trim();
}

function sortBy(head) {
  const table = head.closest("table"), column = head.cellIndex, body = table.tBodies[0];
  const descending = head.getAttribute("aria-sort") === "ascending", sign = descending ? -1 : 1;
  const keyed = [...body.rows].map((line) => [keyOf(line, column), line]);
  keyed.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null); // what is missing stands last, either way
    return sign * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
  });
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  body.append(...keyed.map(([, line]) => line));
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button.sort");
  if (button) sortBy(button.closest("th"));
});

// {target, format, runtime}: "" lets all through.
const chosenOf = (section) => Object.fromEntries([...section.querySelectorAll("[data-by]")].map((select) => [select.dataset.by, select.value]));

function filterLines(section) {
  const chosen = Object.entries(chosenOf(section)).filter(([, value]) => value);
  for (const line of section.querySelectorAll("tr[data-target], tr[data-format], details[data-target]")) {
    if (line.closest('[data-part="advice"]')) continue; // what to ship is no matter of taste
    line.hidden = chosen.some(([name, value]) => (line.dataset[name] || "") !== value);
  }
  const lines = ["results", "boards"].flatMap((name) => [...(part(section, name)?.tBodies[0].rows || [])]);
  part(section, "shown").textContent = `${lines.filter((line) => !line.hidden).length} of ${lines.length} rows`;
}

function setUpFilters(section) {
  for (const select of section.querySelectorAll("[data-by]")) {
    select.addEventListener("change", () => {
      filterLines(section);
      section.dispatchEvent(new Event("filtered"));
    });
  }
  filterLines(section);
}
