// What a number is, on hover and on focus: its own words (data-tip), then its column's (data-about).
const tip = document.getElementById("tip");

function wordsOf(target) {
  const cell = target.closest("td, th"), own = target.closest("[data-tip]");
  const words = own ? [own.dataset.tip] : [];
  if (cell) {
    const head = cell.closest("table").tHead?.rows[0]?.cells[cell.cellIndex];
    if (head?.dataset.about && (own || cell === head || /\d/.test(cell.textContent))) words.push(head.dataset.about);
  }
  return [words.join(" "), cell || own];
}

function showTip(target) {
  const [words, beside] = target.closest ? wordsOf(target) : ["", null];
  document.querySelectorAll("[aria-describedby=tip]").forEach((one) => one.removeAttribute("aria-describedby"));
  tip.hidden = !words;
  if (!words) return;
  tip.textContent = words;
  beside.setAttribute("aria-describedby", "tip");
  const box = beside.getBoundingClientRect(), room = document.documentElement.clientWidth - tip.offsetWidth - 8;
  const below = box.bottom + 6 + tip.offsetHeight < innerHeight;
  tip.style.left = Math.max(8, Math.min(box.left, room)) + "px";
  tip.style.top = Math.max(4, below ? box.bottom + 6 : box.top - 6 - tip.offsetHeight) + "px";
}

document.addEventListener("pointerover", (event) => showTip(event.target));
document.addEventListener("focusin", (event) => showTip(event.target));
document.addEventListener("focusout", () => (tip.hidden = true));
document.addEventListener("scroll", () => (tip.hidden = true), { capture: true, passive: true });

// Arrow keys go from cell to cell of a table that has the focus, so that a keyboard reaches every number's words.
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") tip.hidden = true;
  const region = event.target.closest(".scroll"), step = STEPS[event.key];
  if (!region || !step || event.target.closest("button, select, input, summary")) return;
  const lines = [...region.querySelectorAll("tbody tr")].filter((line) => !line.hidden && line.offsetParent);
  const cell = event.target.closest("td, th"), row = cell ? lines.indexOf(cell.parentElement) : -1;
  const line = cell ? lines[row + step[0]] : lines[0];
  const next = line?.cells[cell ? cell.cellIndex + step[1] : 0];
  if (!next) return;
  event.preventDefault();
  next.tabIndex = -1;
  next.focus();
});
