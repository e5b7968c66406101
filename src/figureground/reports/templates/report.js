// Filters and sorts the worst cases, and fades their maps. The page says the same without it.
(() => {
  "use strict";
  const section = document.getElementById("cases");
  const tools = section && section.querySelector(".tools");
  if (!tools) return;
  const galleries = [...section.querySelectorAll(".gallery")]
    .map(one => [...one.querySelectorAll(".case[data-rank]")])
    .filter(cases => cases.length);
  const all = galleries.flat();
  const filters = [...tools.querySelectorAll("select[data-filter]")];
  const order = tools.querySelector("select[data-order]");
  const fade = tools.querySelector("input[type=range]");
  const count = tools.querySelector("output[data-count]");
  const shade = tools.querySelector("[data-shade]");

  // The first choice of a filter is "all".
  const choices = new Map(all.map(one => [one, one.dataset.choices.split(" ").map(Number)]));
  const wanted = one => filters.every((filter, at) =>
    filter.selectedIndex === 0 || choices.get(one)[at] === filter.selectedIndex);
  const filtered = () => {
    let shown = 0;
    for (const one of all) {
      one.hidden = !wanted(one);
      if (!one.hidden) shown += 1;
    }
    count.textContent = count.dataset.count.replace("{shown}", shown).replace("{total}", all.length);
  };

  // What has no number stands last; equal ones stay in the declared order, which paper always has.
  const by = key => (one, other) => {
    const pair = [one, other].map(each => each.dataset[key] === "" ? NaN : Number(each.dataset[key]));
    const rank = Number(one.dataset.rank) - Number(other.dataset.rank);
    if (key === "rank" || pair.every(Number.isNaN)) return rank;
    if (pair.some(Number.isNaN)) return Number.isNaN(pair[0]) ? 1 : -1;
    return pair[1] - pair[0] || rank;
  };
  const sorted = () => {
    for (const cases of galleries) {
      const box = cases[0].parentElement;
      for (const one of [...cases].sort(by(order.value))) box.append(one);
    }
  };

  // A map lies over the picture that it is of.
  const stacked = figure => {
    const map = figure.querySelector("img");
    const frame = document.createElement("span");
    const below = figure.closest(".panels").querySelector(".panel:not([data-map]) img").cloneNode();
    frame.className = "stack";
    below.alt = "";
    map.replaceWith(frame);
    frame.append(below, map);
    return map;
  };
  let maps = null;
  const faded = () => {
    maps ||= all.flatMap(one => [...one.querySelectorAll(".panel[data-map]")])
      .filter(one => one.querySelector("img") && one.closest(".panels").querySelector(".panel:not([data-map]) img"))
      .map(stacked);
    for (const map of maps) map.style.opacity = fade.value / 100;
    shade.textContent = fade.value + "\u202f%";
  };

  all.forEach(one => one.style.setProperty("--declared", one.dataset.rank));
  for (const filter of filters) filter.addEventListener("change", filtered);
  order.addEventListener("change", sorted);
  fade.addEventListener("input", faded);
  tools.querySelector("button").addEventListener("click", () => {
    for (const one of [...filters, order]) one.selectedIndex = 0;
    fade.value = 100;
    filtered();
    sorted();
    if (maps) faded();
    shade.textContent = "100\u202f%";
  });
  filtered();
  tools.hidden = false;
})();
