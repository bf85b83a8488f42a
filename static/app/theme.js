// Runs before the first paint: a chosen theme wins over the system's.
{
  const chosen = localStorage.getItem("theme");
  if (chosen === "tributary" || chosen === "tributary-night") {
    document.documentElement.dataset.theme = chosen;
  }
}
