// The caller's files on the service: used again for a map, or removed.

import { Problem, call } from "./api.js";
import { action, el, notice, toast } from "./dom.js";
import { keepForDraft } from "./new_map.js";
import { t } from "./text.js";
import { bytes, moment } from "./units.js";

export async function files(main, _argument, ending) {
  const total = el("p", { class: "lead" });
  const quota = el("p", { class: "dim" });
  const list = el("ul", { class: "jobs" });
  main.append(el("div", { class: "column" }, el("h1", {}, t("nav.files")), total, quota, list));
  await load();

  async function load() {
    const { quotas } = await call("GET", "/me", { signal: ending });
    const { used, limit } = quotas.bytes_stored;
    quota.textContent =
      limit === null ? "" : t("files.quota", { used: bytes(used), limit: bytes(limit) });
    const { uploads } = await call("GET", "/uploads?limit=1000", { signal: ending });
    const sum = uploads.reduce((all, upload) => all + upload.bytes, 0);
    total.textContent = t("files.lead", { n: uploads.length, size: bytes(sum) });
    list.replaceChildren(...uploads.map(row));
    if (uploads.length === 0) list.replaceChildren(notice("", t("files.none")));
  }

  function row(upload) {
    const use = el(
      "button",
      {
        type: "button",
        class: "quiet",
        "aria-label": `${t("files.use")}: ${upload.name}`,
        onclick: () => {
          keepForDraft(upload);
          location.hash = "new";
        },
      },
      t("files.use"),
    );
    return el(
      "li",
      { class: "card job" },
      el(
        "div",
        { class: "grow" },
        el("strong", {}, upload.name),
        el("p", { class: "dim" }, `${bytes(upload.bytes)} · ${moment(upload.created)}`),
      ),
      upload.report.raster ? use : null,
      action(t("job.delete.short"), () => remove(upload), {
        class: "quiet",
        "aria-label": `${t("job.delete.short")}: ${upload.name}`,
      }),
    );
  }

  async function remove(upload) {
    if (!window.confirm(t("files.sure", { name: upload.name }))) return;
    try {
      await call("DELETE", `/uploads/${upload.id}`);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      toast(error.message || t("problem.network"), "bad");
    }
    await load();
  }
}
