// Which workspace is shown, in which theme; what stands further down is drawn once it comes near.
const sections = [...document.querySelectorAll("section.workspace")];
const started = new Set();

function start(section) {
  if (started.has(section)) return;
  started.add(section);
  setUpFilters(section);
  setUpCharts(section);
  setUpLayers(section);
  const later = { row: setUpClasses, forms: setUpAgreement, flips: setUpFlips };
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((one) => one.isIntersecting)) {
      near.unobserve(entry.target);
      dataOf(section).then((data) => later[entry.target.dataset.part](section, data)).catch(console.error);
    }
  }, { rootMargin: "600px" });
  for (const name of Object.keys(later)) if (part(section, name)) near.observe(part(section, name));
}

function show(number) {
  sections.forEach((section, index) => (section.hidden = index !== number));
  if (chooser) chooser.value = number;
  start(sections[number]);
}

const chooser = document.getElementById("switch");
if (chooser) chooser.addEventListener("change", () => show(Number(chooser.value)));
const overview = document.querySelector('[data-part="overview"]');
if (overview) {
  [...overview.tBodies[0].rows].forEach((line, index) => {
    const button = element("button", line.cells[0].textContent, { type: "button", class: "link" });
    button.addEventListener("click", () => {
      show(index);
      sections[index].scrollIntoView();
    });
    line.cells[0].replaceChildren(button);
  });
}

const theme = document.getElementById("theme"), THEMES = ["auto", "light", "dark"];
function setTheme(name) {
  document.documentElement.dataset.theme = name;
  theme.textContent = `Theme: ${name}`;
}
theme.addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length]));
setTheme("auto");
const linked = sections.findIndex((section) => location.hash.startsWith(`#${section.id}-`) || location.hash === `#${section.id}`);
show(Math.max(0, linked));
document.documentElement.dataset.ready = performance.now().toFixed(0); // milliseconds since the page was asked for
