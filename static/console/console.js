// Copy buttons, selection dialogs and live refresh of the console.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  event.preventDefault();
  const icon = button.querySelector(".material-symbols-outlined");
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    const area = Object.assign(document.createElement("textarea"), { value: button.dataset.copy });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  if (icon) {
    icon.textContent = "check";
    setTimeout(() => (icon.textContent = "content_copy"), 1200);
  }
});

document.addEventListener("change", (event) => {
  const select = event.target.closest("[data-submit]");
  if (select) select.form.submit();
});

// On phones a table's rows become blocks; each cell then carries its column's name.
const labelTables = () => {
  for (const table of document.querySelectorAll(".tb-table:not(.is-labelled)")) {
    const names = [...table.querySelectorAll("thead th")].map((th) => th.textContent.trim());
    for (const row of table.querySelectorAll("tbody tr, tfoot tr")) {
      let column = 0;
      for (const cell of row.children) {
        column += cell.colSpan;
        if (cell.tagName !== "TD") continue;
        cell.dataset.label = names[column - 1] ?? "";
        if (cell.childNodes.length < 2) continue;
        const whole = document.createElement("div");
        whole.append(...cell.childNodes);
        cell.append(whole);
      }
    }
    table.classList.add("is-labelled");
  }
};
document.addEventListener("DOMContentLoaded", labelTables);

// Names of columns begin with a capital, as in the head; Unfold calls the first cell of a list without links
// "Select record", where it is a column as any other.
document.addEventListener("DOMContentLoaded", () => {
  for (const cell of document.querySelectorAll("#result_list tbody [data-label]")) {
    cell.dataset.label = cell.dataset.label.replace(/^./, (letter) => letter.toUpperCase());
  }
  const name = document.querySelector("#result_list thead th:not(.action-checkbox-column)")?.textContent.trim();
  for (const cell of document.querySelectorAll("#result_list tbody td:first-child:not(.action-checkbox)")) {
    if (name) cell.dataset.label = name;
  }
});
for (const shown of ["htmx:afterSwap", "console:shown"]) document.addEventListener(shown, labelTables);

// One key decides: A, H, L, N, U press their button, R opens the reasons, then the key beside one names it. Never while
// writing.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.closest("input, select, textarea, [contenteditable]")) return;
  if (!/^[a-z0-9]$/i.test(event.key)) return;
  const wanted = [...document.querySelectorAll(`[data-key="${event.key.toLowerCase()}"]`)];
  const shown = wanted.find((one) => one.getClientRects().length);
  if (!shown) return;
  event.preventDefault();
  shown.click();
  if (shown.tagName === "SUMMARY") shown.focus();
});

// Unfold looks for its own text field beside every file input; the console's plain ones have none.
document.addEventListener(
  "change",
  (event) => {
    if (event.target.matches("input[type=file].tb-input")) event.stopPropagation();
  },
  true,
);
