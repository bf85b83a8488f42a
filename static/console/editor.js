// Live answers beside the editors: the test bench, a plan's rules, a policy with its sample journey.
(() => {
  const token = () => document.querySelector("[name=csrfmiddlewaretoken]").value;
  const json = (id) => JSON.parse(document.getElementById(id).textContent);

  // Ask after a short rest; only the answer to the latest question is heard.
  function asker(address, heard, failed) {
    let [timer, asked] = [0, 0];
    return (text, wait = 250) => {
      clearTimeout(timer);
      const mine = ++asked;
      timer = setTimeout(async () => {
        try {
          const headers = { "Content-Type": "application/json", "X-CSRFToken": token() };
          const answer = await fetch(address, { method: "POST", headers, body: text });
          if (!answer.ok) throw new Error(String(answer.status));
          const found = await answer.json();
          if (mine === asked) heard(found);
        } catch (error) {
          if (mine === asked) failed(error);
        }
      }, wait);
    };
  }

  function shower(page, form) {
    const result = page.querySelector("[data-result]");
    return {
      heard: (answer) => {
        result.classList.remove("is-asking");
        result.classList.toggle("is-stale", Boolean(answer.error) && !answer.html);
        if (answer.html) result.innerHTML = answer.html;
        if (form) {
          DocumentForm.say(form, answer.said ?? {});
          if (answer.error) DocumentForm.showFault(form, answer.error);
          else DocumentForm.clearFault(form);
        }
        document.dispatchEvent(new Event("console:shown"));
      },
      failed: () => {
        result.classList.add("is-stale");
        result.classList.remove("is-asking");
      },
    };
  }

  // --- the test bench ----------------------------------------------------------------------------
  function bench(page) {
    const form = page.querySelector("[data-document]");
    const area = page.querySelector("[data-json]");
    const refused = page.querySelector("[data-json-fault]");
    const tabs = [...page.querySelectorAll("[role=tab]")];
    const panel = (tab) => document.getElementById(tab.getAttribute("aria-controls"));
    const copy = page.querySelector("[data-copy-json]");
    const show = shower(page, form);
    let inJson = false;

    const ask = asker(
      page.dataset.bench,
      (answer) => {
        show.heard(answer);
        refused.hidden = !answer.error;
        if (answer.error) {
          refused.querySelector("[data-message]").textContent = answer.error.message;
          refused.querySelector("[data-code]").textContent = answer.error.code;
          refused.querySelector("[data-path]").textContent = answer.error.path || "–";
        }
      },
      show.failed,
    );
    const changed = (wait) => {
      if (!inJson) area.value = JSON.stringify(DocumentForm.read(form), null, 2);
      copy.dataset.copy = area.value;
      ask(area.value, wait);
    };

    function open(tab) {
      const wantsJson = tab.dataset.tab === "json";
      if (inJson && !wantsJson) {
        let value = null;
        try {
          value = JSON.parse(area.value);
        } catch {
          // the refusal below the text says so
        }
        const isOne = value !== null && typeof value === "object" && !Array.isArray(value);
        page.querySelector("[data-not-one]").hidden = isOne;
        if (!isOne) return;
        DocumentForm.fill(form, value);
      }
      inJson = wantsJson;
      for (const one of tabs) {
        const on = one === tab;
        one.setAttribute("aria-selected", String(on));
        one.classList.toggle("is-on", on);
        one.tabIndex = on ? 0 : -1;
        panel(one).hidden = !on;
      }
      changed(0);
    }

    for (const tab of tabs) {
      tab.addEventListener("click", () => open(tab));
      tab.addEventListener("keydown", ({ key }) => {
        if (key !== "ArrowRight" && key !== "ArrowLeft") return;
        const other = tabs[(tabs.indexOf(tab) + 1) % tabs.length];
        other.focus();
        open(other);
      });
    }
    area.addEventListener("input", () => {
      page.querySelector("[data-not-one]").hidden = true;
      changed();
    });
    DocumentForm.fill(form, json("bench-document"));
    DocumentForm.watch(form, changed);
    changed(0);
  }

  // --- a new version of a plan or a policy -------------------------------------------------------
  function version(page) {
    const form = page.querySelector("[data-document]");
    const field = page.querySelector("[name=document]");
    const chosen = page.querySelector("[data-samples]");
    const samples = chosen ? json("samples") : [];
    const show = shower(page, form);
    const ask = asker(page.dataset.version, show.heard, show.failed);
    let sample = samples[0]?.document;

    const changed = (wait) => {
      const value = DocumentForm.read(form);
      field.value = JSON.stringify(value);
      ask(JSON.stringify(chosen ? { ...sample, [form.dataset.document]: value } : value), wait);
    };
    chosen?.addEventListener("change", async () => {
      const option = chosen.selectedOptions[0];
      if (option.dataset.address) {
        const answer = await fetch(option.dataset.address);
        if (answer.ok) sample = await answer.json();
      } else sample = samples[Number(option.value)].document;
      changed(0);
    });
    DocumentForm.fill(form, json("version-document"));
    DocumentForm.watch(form, changed);
    changed(0);
    const refused = document.getElementById("version-fault");
    if (refused) DocumentForm.showFault(form, JSON.parse(refused.textContent));
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-bench]").forEach(bench);
    document.querySelectorAll("[data-version]").forEach(version);
  });
})();
