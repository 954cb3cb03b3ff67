// The pictures whose answer changed, with the probabilities before and after.
const SIGNS = { broken: "FAIL", fixed: "PASS" };

function cardOf(card, pictures) {
  const figure = element("figure", "", { class: "card flip" }), bars = element("div", "", { class: "bars" }), head = element("div", "truth ");
  head.append(element("b", card.truth), ", ", element("span", card.kind, { class: "verdict " + (SIGNS[card.kind] || "INCONCLUSIVE") }));
  bars.append(head);
  for (const [name, before, after] of card.bars) {
    for (const [who, share, mark] of [["the baseline", before, "before"], ["the export", after, ""]]) {
      const bar = element("div", "", { class: "bar", "data-tip": `Probability that ${who} gives to class ${name}: ${(100 * share).toFixed(2)} %.` });
      const width = element("i", "", { class: mark, style: `width: ${(100 * share).toFixed(1)}%` });
      bar.append(element("span", mark ? name : ""), width, element("span", `${(100 * share).toFixed(0)} %`));
      bars.append(bar);
    }
  }
  bars.append(element("div", `${card.subject} on ${card.places}`, { class: "soft" }));
  figure.append(element("img", "", { src: pictures[card.index], alt: `validation image ${card.index}, class ${card.truth}` }), bars);
  return figure;
}

function setUpFlips(section, { cards, pictures }) {
  const place = part(section, "flips"), filters = [...section.querySelectorAll("[data-filter]")];
  const made = cards.map((card) => [card, cardOf(card, pictures)]);
  const show = () => {
    for (const [card, figure] of made) {
      figure.hidden = filters.some((filter) => filter.value && ![card[filter.dataset.filter]].flat().includes(filter.value));
    }
    part(section, "flips-shown").textContent = `${made.filter(([, figure]) => !figure.hidden).length} shown`;
  };
  place.replaceChildren(...made.map(([, figure]) => figure));
  for (const filter of filters) filter.addEventListener("change", show);
  show();
}
