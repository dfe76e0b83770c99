// Sort and search tables, show the value of a mark, and follow the reader in the contents. The page works without it.
(() => {
  const number = (text) => {
    const found = text.replace(/,/g, "").replace(/−/g, "-").match(/^[<>]?\s*(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)/);
    return found ? Number(found[1]) : NaN;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const first = [...body.rows];
    table.querySelectorAll("thead th").forEach((head, place) => {
      if (!head.textContent.trim()) return;
      const button = document.createElement("button");
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") === "descending";
        table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const keys = new Map(first.map((row) => [row, row.cells[place].dataset.value ?? row.cells[place].textContent.trim()]));
        const numeric = [...keys.values()].every((key) => key === "" || key === "–" || !Number.isNaN(number(key)));
        const key = (row) => (numeric ? (Number.isNaN(number(keys.get(row))) ? -Infinity : number(keys.get(row))) : keys.get(row));
        const compare = (a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0);
        body.append(...[...first].sort((a, b) => (up ? compare(a, b) : compare(b, a))));
      });
    });
    if (first.length < 12) continue;
    const input = document.createElement("input");
    input.type = "search";
    input.className = "search";
    input.placeholder = `search ${first.length} rows`;
    input.setAttribute("aria-label", "search the table");
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase();
      for (const row of first) row.hidden = !row.textContent.toLowerCase().includes(words);
    });
    table.parentElement.before(input);
  }
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.setAttribute("role", "status");
  tip.hidden = true;
  document.body.append(tip);
  document.addEventListener("pointerover", (event) => {
    const mark = event.target.closest?.("[data-tip]");
    tip.hidden = !mark;
    if (!mark) return;
    tip.textContent = mark.dataset.tip;
    const left = Math.min(event.pageX + 12, window.scrollX + document.documentElement.clientWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(left, 4)}px`;
    tip.style.top = `${event.pageY + 14}px`;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") tip.hidden = true;
  });
  const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
  if ("IntersectionObserver" in window) {
    const watch = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) {
          if (!entry.isIntersecting) continue;
          links.forEach((link) => link.classList.remove("here"));
          links.get(entry.target.id)?.classList.add("here");
        }
      },
      { rootMargin: "-10% 0px -75% 0px" },
    );
    links.forEach((_, id) => document.getElementById(id) && watch.observe(document.getElementById(id)));
  }
  // Paper cannot be unfolded: open everything but the data behind plots, and fold it again afterwards.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open]):not(.data)")];
    opened.forEach((item) => (item.open = true));
  });
  addEventListener("afterprint", () => opened.forEach((item) => (item.open = false)));
})();
