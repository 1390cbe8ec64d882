// What the page can do beyond being read: sort tables, enlarge figures, copy tables, show where one is.
// Without it everything is there all the same. It loads nothing and sends nothing.
"use strict";
document.documentElement.classList.add("js");

const all = (selector, within = document) => [...within.querySelectorAll(selector)];

function make(tag, text, then) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (tag === "button") made.type = "button";
  if (then) made.addEventListener("click", then);
  return made;
}

// Tables: a click sorts, a second turns round, a third puts the rows back. Missing numbers stay last.
const words = new Intl.Collator("en", { numeric: true });

function compare(column, numeric, sign) {
  return (a, b) => {
    const [one, other] = [a, b].map((row) => row.cells[column]);
    if (!numeric) return sign * words.compare(one.textContent, other.textContent);
    const [x, y] = [one, other].map((cell) => Number(cell.dataset.n ?? NaN));
    return Number.isNaN(x) - Number.isNaN(y) || sign * (x - y) || 0;
  };
}

for (const table of all("table.sortable")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const numeric = head.classList.contains("number");
    // The best of numbers is asked for first, the first of names.
    const turns = numeric ? ["descending", "ascending", "none"] : ["ascending", "descending", "none"];
    const button = make("button", head.textContent, () => {
      const turn = turns[(turns.indexOf(head.getAttribute("aria-sort") ?? "none") + 1) % 3];
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      if (turn !== "none") head.setAttribute("aria-sort", turn);
      const sign = turn === "ascending" ? 1 : -1;
      body.append(...(turn === "none" ? original : [...original].sort(compare(column, numeric, sign))));
    });
    head.replaceChildren(button);
  });
}

// Figures: shown as large as the window, in a dialog that Esc or a click beside closes.
const dialog = document.createElement("dialog");
const stage = document.createElement("div");
let home = null;
dialog.append(make("button", "Close", () => dialog.close()), stage);
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
dialog.addEventListener("close", () => {
  home?.append(...stage.children);
  home = null;
});
document.body.append(dialog);

for (const figure of all("figure")) {
  const plot = figure.querySelector(".plot");
  const enlarge = () => {
    home = plot;
    dialog.setAttribute("aria-label", figure.querySelector("h3").textContent);
    stage.append(...plot.children);
    dialog.showModal();
  };
  plot.addEventListener("click", enlarge);
  figure.querySelector(".tools").prepend(make("button", "Enlarge", enlarge));
}

// Copying: pages opened from disk may use the clipboard; those served without encryption must select and copy.
async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("the browser refused");
}

for (const source of all("template.copy")) {
  const label = source.dataset.label;
  const button = make("button", label, async () => {
    try {
      await copy(source.content.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not copied";
    }
    setTimeout(() => (button.textContent = label), 1500);
  });
  button.setAttribute("aria-live", "polite");
  source.replaceWith(button, source);
}

// Contents: the section on screen is marked, and its link kept in sight.
const links = new Map(all("nav.contents a").map((link) => [link.hash.slice(1), link]));
const shown = new Set();
const watch = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) shown[entry.isIntersecting ? "add" : "delete"](entry.target.id);
    const there = [...links.keys()].filter((id) => shown.has(id)).map((id) => document.getElementById(id));
    // Of a run and its section the section.
    const current = there.find((one) => !there.some((other) => other !== one && one.contains(other)))?.id;
    if (current === undefined) return;
    for (const [id, link] of links) {
      if (id === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    const link = links.get(current);
    all("nav.contents li.run").forEach((run) => run.classList.toggle("open", run.contains(link)));
    const nav = link.closest("nav");
    const [box, frame] = [link.getBoundingClientRect(), nav.getBoundingClientRect()];
    nav.scrollBy({
      left: box.left < frame.left || box.right > frame.right ? box.left - frame.left - 16 : 0,
      top: box.top < frame.top || box.bottom > frame.bottom ? box.top - frame.top - 80 : 0,
    });
  },
  { rootMargin: "-72px 0px -55% 0px" },
);
for (const id of links.keys()) watch.observe(document.getElementById(id));
