// The portal works without this file; with it, it is quicker to the hand.
const night = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;

// Theme: the choice is kept only while it differs from the system's.
function shownTheme() {
  return root.dataset.theme || (night.matches ? "tributary-night" : "tributary");
}
function markTheme() {
  const dark = shownTheme() === "tributary-night";
  for (const button of document.querySelectorAll("[data-theme-toggle]")) {
    button.hidden = false;
    button.setAttribute("aria-pressed", String(dark));
  }
}
function toggleTheme() {
  const next = shownTheme() === "tributary" ? "tributary-night" : "tributary";
  if (next === (night.matches ? "tributary-night" : "tributary")) {
    localStorage.removeItem("theme");
    delete root.dataset.theme;
  } else {
    localStorage.setItem("theme", next);
    root.dataset.theme = next;
  }
  markTheme();
}

// Copy: the button says what happened, to the eye and to the ear.
async function copy(button) {
  const source = button.dataset.copyFrom && document.getElementById(button.dataset.copyFrom);
  const text = source ? source.value ?? source.textContent : button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text.trim());
  } catch {
    if (!source?.select) return;
    source.select();
    document.execCommand("copy");
  }
  const word = button.querySelector("[data-copy-word]");
  if (!word || button.dataset.copied) return;
  const before = word.textContent;
  button.dataset.copied = "1";
  word.textContent = button.dataset.done;
  setTimeout(() => {
    word.textContent = before;
    delete button.dataset.copied;
  }, 1800);
}

document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-theme-toggle], [data-copy], [data-copy-from], [data-open], [data-close]");
  if (target?.matches("[data-theme-toggle]")) toggleTheme();
  else if (target?.matches("[data-copy], [data-copy-from]")) copy(target);
  else if (target?.matches("[data-open]")) document.getElementById(target.dataset.open).showModal();
  else if (target?.matches("[data-close]")) target.closest("dialog").close();
  if (event.target.matches("dialog")) event.target.close(); // the backdrop
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-autosubmit]")) event.target.form.requestSubmit();
});

// Charts: the nearest day's numbers follow the pointer; they come from the chart's own table.
function watchChart(chart) {
  const plot = chart.querySelector(".chart-plot");
  const rows = [...chart.querySelectorAll("tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent));
  const heads = [...chart.querySelectorAll("thead th")].map((cell) => cell.textContent);
  const tip = document.createElement("div");
  const mark = document.createElement("div");
  tip.className = "chart-tip";
  mark.className = "chart-mark";
  tip.hidden = mark.hidden = true;
  plot.append(mark, tip);
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    const last = Math.max(rows.length - 1, 1);
    const at = Math.min(Math.max(Math.round(((event.clientX - box.left) / box.width) * last), 0), rows.length - 1);
    const [label, value, previous] = rows[at];
    const strong = document.createElement("strong");
    strong.textContent = value;
    tip.replaceChildren(label, strong, previous ? `${heads[2]}: ${previous}` : "");
    tip.hidden = mark.hidden = false;
    const x = (at / last) * box.width;
    mark.style.left = `${x}px`;
    tip.style.left = `${Math.min(Math.max(x + 10, 0), box.width - tip.offsetWidth)}px`;
    if (x + 10 + tip.offsetWidth > box.width) tip.style.left = `${Math.max(x - 10 - tip.offsetWidth, 0)}px`;
  });
  plot.addEventListener("pointerleave", () => {
    tip.hidden = mark.hidden = true;
  });
}

// The link builder shows the address while it is typed; the server makes and checks the real one.
document.addEventListener("alpine:init", () => {
  window.Alpine.data("linkBuilder", () => ({
    deep: "",
    subs: { sub1: "", sub2: "", sub3: "", sub4: "", sub5: "" },
    base: "",
    init() {
      this.deep = this.$refs.deep.value;
      for (const name of Object.keys(this.subs)) this.subs[name] = this.$refs[name]?.value ?? "";
      this.choose();
    },
    choose() {
      this.base = this.$refs.campaign.selectedOptions[0]?.dataset.base ?? "";
    },
    type(event) {
      if (event.target.name in this.subs) this.subs[event.target.name] = event.target.value.trim();
      else if (event.target.name === "url") this.deep = event.target.value.trim();
      else if (event.target.name === "campaign") this.choose();
    },
    get address() {
      if (!this.base) return "";
      const params = new URLSearchParams();
      if (this.deep) params.set("url", this.deep);
      for (const [name, value] of Object.entries(this.subs)) if (value) params.set(name, value);
      const query = params.toString();
      return query ? `${this.base}?${query}` : this.base;
    },
  }));
});

markTheme();
night.addEventListener("change", markTheme);
document.querySelectorAll(".chart").forEach(watchChart);
