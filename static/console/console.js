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
