// Forms that write the test bench's document: nested objects, lists in an order, tables with keys of their own.
//
// data-field (with data-kind), data-object, data-list and data-table name a member of the object around them; rows of
// a list or table are made from its <template>. What a form does not know of an object is kept as it was.
(() => {
  const DAY = 86_400_000;
  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  const split = (text) => text.split(",").map((part) => part.trim()).filter(Boolean);
  const whole = (text) => (/^\d{1,15}$/.test(text) ? Number(text) : text);
  const nameOf = ({ dataset }) => dataset.field ?? dataset.object ?? dataset.list ?? dataset.table;
  const isMany = ({ dataset }) => dataset.list !== undefined || dataset.table !== undefined;
  const rowsOf = (many) => [...many.querySelector(":scope > [data-rows]").children];
  const keyOf = (row) => row.querySelector("[data-key]");
  const iso = (moment) => new Date(moment).toISOString().replace(".000Z", "Z");

  function* members(node) {
    for (const child of node.children) {
      if (child.tagName === "TEMPLATE") continue;
      if (nameOf(child) !== undefined) yield child;
      else yield* members(child);
    }
  }

  // --- one field ---------------------------------------------------------------------------------
  const takers = {
    text: (field) => field.value.trim() || undefined,
    whole: (field) => (field.value.trim() ? whole(field.value.trim()) : undefined),
    flag: (field) => (field.checked || field.had ? field.checked : undefined),
    either: (field) => ({ true: true, false: false })[field.value],
    words: (field) => (split(field.value).length || field.dataset.field === "" ? split(field.value) : undefined),
    wholes: (field) => (split(field.value).length ? split(field.value).map(whole) : undefined),
    moment: (field) => (field.value === field.shown ? field.raw : field.value ? `${field.value}Z` : undefined),
    days: (field) => {
      const [base, raw] = baseOf(field);
      if (field.value === field.shown && (raw === field.base || Number.isNaN(base))) return field.raw;
      const days = field.value === field.shown ? field.offset / DAY : Number(field.value.replace(",", "."));
      if (!field.value.trim()) return undefined;
      return Number.isFinite(days) && Number.isFinite(base) ? iso(base - Math.round(days * DAY)) : field.value;
    },
  };
  const putters = {
    flag: (field, value) => {
      field.had = value !== undefined;
      field.checked = value === true;
    },
    moment: (field, value) => {
      const at = Date.parse(value);
      field.raw = value;
      field.value = Number.isNaN(at) ? "" : new Date(at).toISOString().slice(0, 19);
      field.shown = field.value;
    },
    days: (field, value) => {
      const [base, raw] = baseOf(field);
      [field.raw, field.base, field.offset] = [value, raw, base - Date.parse(value)];
      field.value = Number.isNaN(field.offset) ? "" : String(Math.round((field.offset / DAY) * 1e4) / 1e4);
      field.shown = field.value;
    },
  };

  function baseOf(field) {
    const base = field.closest("[data-document]")?.querySelector("[data-field=occurred_at]");
    const raw = base && takers.moment(base);
    return [Date.parse(raw), raw];
  }

  function put(field, value) {
    const { kind } = field.dataset;
    if (putters[kind]) putters[kind](field, value);
    else field.value = Array.isArray(value) ? value.join(", ") : (value ?? field.dataset.usual ?? "");
    if (value === undefined && field.selectedIndex === -1) field.selectedIndex = 0;
  }

  // --- the whole ---------------------------------------------------------------------------------
  function fill(node, value) {
    const rest = isObject(value) ? { ...value } : {};
    for (const member of members(node)) {
      const name = nameOf(member);
      const inner = name === "" ? value : (rest[name] ?? undefined);
      delete rest[name];
      if (member.dataset.field !== undefined) put(member, inner);
      else if (isMany(member)) fillRows(member, inner);
      else fill(member, inner);
    }
    node.kept = rest;
  }

  function fillRows(many, value) {
    many.had = value !== undefined;
    many.querySelector(":scope > [data-rows]").replaceChildren();
    if (many.dataset.list !== undefined) (Array.isArray(value) ? value : []).forEach((inner) => addRow(many, inner));
    else for (const [key, inner] of Object.entries(isObject(value) ? value : {})) addRow(many, inner, key);
  }

  function addRow(many, value, key) {
    const row = many.querySelector(":scope > template").content.firstElementChild.cloneNode(true);
    many.querySelector(":scope > [data-rows]").append(row);
    if (keyOf(row) && key !== undefined) keyOf(row).value = key;
    fill(row, value);
    return row;
  }

  function read(node) {
    const found = {};
    for (const member of members(node)) {
      const value = take(member);
      if (nameOf(member) === "") return value;
      if (value !== undefined) found[nameOf(member)] = value;
    }
    return { ...node.kept, ...found };
  }

  function take(member) {
    if (member.dataset.field !== undefined) return takers[member.dataset.kind ?? "text"](member);
    if (!isMany(member)) {
      const inner = read(member);
      return "always" in member.dataset || Object.keys(inner).length ? inner : undefined;
    }
    const rows = rowsOf(member);
    if (!rows.length && !("always" in member.dataset)) return undefined;
    if (member.dataset.list !== undefined) return rows.map((row) => read(row) ?? null);
    return Object.fromEntries(rows.map((row) => [keyOf(row).value.trim(), read(row) ?? null]));
  }

  function places(node, at, found = new Map()) {
    found.set(at, node);
    for (const member of members(node)) {
      const name = nameOf(member);
      const path = name === "" ? at : at ? `${at}.${name}` : name;
      if (!isMany(member)) {
        if (member.dataset.field !== undefined) found.set(path, member);
        else places(member, path, found);
        continue;
      }
      found.set(path, member);
      rowsOf(member).forEach((row, place) => {
        const inner = member.dataset.list !== undefined ? `${path}[${place}]` : `${path}.${keyOf(row).value.trim()}`;
        places(row, inner, found);
      });
    }
    return found;
  }

  // --- faults, sentences, conditional parts ------------------------------------------------------
  function clearFault(root) {
    root.querySelectorAll("[data-fault]").forEach((note) => note.remove());
    root.querySelectorAll("[aria-invalid]").forEach((field) => field.removeAttribute("aria-invalid"));
  }

  function showFault(root, fault) {
    clearFault(root);
    const found = places(root, root.dataset.document);
    let path = fault.path;
    while (path && !found.has(path)) path = path.replace(/(\.[^.[]*|\[\d+\]|^[^.[]+)$/, "");
    const node = found.get(path) ?? root;
    const note = Object.assign(document.createElement("p"), { className: "tb-error", textContent: fault.message });
    note.dataset.fault = fault.code;
    note.append(Object.assign(document.createElement("code"), { className: "tb-code", textContent: fault.code }));
    if (node.dataset.field !== undefined) {
      node.setAttribute("aria-invalid", "true");
      node.closest(".tb-field").after(note);
    } else node.prepend(note);
    for (let box = note.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
    const hidden = note.closest("[data-if][hidden]");
    if (hidden) hidden.hidden = false;
  }

  function say(root, said) {
    for (const [path, node] of places(root, root.dataset.document)) {
      const sentence = node.querySelector?.("[data-said]");
      if (sentence && node.dataset.row !== undefined) sentence.textContent = said[path] ?? "";
    }
  }

  function showParts(root) {
    for (const part of root.querySelectorAll("[data-if]")) {
      const [name, wanted] = part.dataset.if.split("=");
      const field = part.closest("[data-row], [data-object], [data-document]").querySelector(`[data-field=${name}]`);
      part.hidden = !wanted.split(" ").includes(field?.value);
    }
  }

  // --- rows --------------------------------------------------------------------------------------
  function moved(row) {
    const rows = [...row.parentElement.children];
    const live = row.closest("[data-document]").querySelector("[data-live]");
    if (live) live.textContent = `${live.dataset.live} ${rows.indexOf(row) + 1} / ${rows.length}`;
  }

  function freeId(rows) {
    const taken = new Set(rows.map((row) => row.querySelector("[data-field=id]").value));
    let number = rows.length;
    while (taken.has(`t${number}`)) number += 1;
    return `t${number}`;
  }

  const acts = {
    add: (button) => {
      const many = button.closest("[data-list], [data-table]");
      const row = addRow(many, JSON.parse(button.dataset.value ?? "{}"));
      const [id, days] = ["id", "at"].map((name) => row.querySelector(`[data-field=${name}]`));
      if (id) id.value = freeId(rowsOf(many));
      if (days) days.value = "1";
      row.querySelectorAll("[data-unfold]").forEach((box) => (box.open = true));
      row.querySelector("[data-key], [data-field]")?.focus();
    },
    remove: (button) => {
      const row = button.closest("[data-row]");
      const next = row.nextElementSibling ?? row.previousElementSibling ?? row.parentElement.parentElement;
      row.remove();
      next.querySelector("[data-do=remove], [data-do=add]")?.focus();
    },
    up: (button) => {
      const row = button.closest("[data-row]");
      row.previousElementSibling?.before(row);
      button.focus();
      moved(row);
    },
    down: (button) => {
      const row = button.closest("[data-row]");
      row.nextElementSibling?.after(row);
      button.focus();
      moved(row);
    },
  };

  // The dragged row stays where it is in the page; its neighbors step over it.
  function drag(start, changed) {
    const row = start.target.closest("[data-row]");
    start.preventDefault();
    row.classList.add("is-dragged");
    const middle = (box) => box.top + box.height / 2;
    const move = ({ clientY }) => {
      let [before, after] = [row.previousElementSibling, row.nextElementSibling];
      while (before && clientY < middle(before.getBoundingClientRect())) {
        row.after(before);
        before = row.previousElementSibling;
      }
      while (after && clientY > middle(after.getBoundingClientRect())) {
        row.before(after);
        after = row.nextElementSibling;
      }
    };
    const stop = () => {
      row.classList.remove("is-dragged");
      document.removeEventListener("pointermove", move);
      for (const end of ["pointerup", "pointercancel"]) document.removeEventListener(end, stop);
      moved(row);
      changed();
    };
    document.addEventListener("pointermove", move);
    for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, stop);
  }

  function watch(root, changed) {
    const heard = () => {
      showParts(root);
      changed();
    };
    root.addEventListener("input", heard);
    root.addEventListener("change", (event) => event.target.matches("select, [type=checkbox]") && heard());
    root.addEventListener("pointerdown", (event) => event.target.closest("[data-handle]") && drag(event, heard));
    root.addEventListener("click", (event) => {
      const button = event.target.closest("[data-do]");
      if (!button) return;
      event.preventDefault();
      acts[button.dataset.do](button);
      heard();
    });
  }

  window.DocumentForm = {
    fill: (root, value) => {
      fill(root, value);
      fill(root, value); // days before the conversion are known once its moment is
      showParts(root);
    },
    read,
    watch,
    say,
    showFault,
    clearFault,
  };
})();
