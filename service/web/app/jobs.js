// The caller's jobs, the newest first.

import { Problem, blob, call, pathOf } from "./api.js";
import { action, el, notice } from "./dom.js";
import { pause } from "./job.js";
import { nameOf, t } from "./text.js";
import { duration, moment } from "./units.js";

const STATES = ["accepted", "running", "successful", "failed", "dismissed"];
const PAGE = 30;
const POLL_MS = 3000;
const WORKING = ["accepted", "running"];
const MOST_PIXELS = 30e6; // of a map that is drawn for its thumbnail alone

export async function jobs(main, _argument, ending) {
  const list = el("ul", { class: "jobs" });
  const more = el("div", {});
  const filter = el(
    "select",
    { id: "state", onchange: () => load() },
    el("option", { value: "" }, t("jobs.all")),
    STATES.map((state) => el("option", { value: state }, t(`state.${state}`))),
  );
  main.append(
    el(
      "div",
      {},
      el(
        "div",
        { class: "titled" },
        el("h1", {}, t("jobs.title")),
        el("label", { for: "state" }, t("jobs.filter")),
        filter,
      ),
      list,
      more,
    ),
  );
  const { uploads } = await call("GET", "/uploads?limit=1000", { signal: ending });
  const known = Object.fromEntries(uploads.map((upload) => [upload.id, upload]));
  let drawing = Promise.resolve();
  await load();
  await follow();

  async function load(after) {
    const status = filter.value ? `&status=${filter.value}` : "";
    const page = await call(
      "GET",
      `/jobs?limit=${PAGE}${status}${after ? `&after=${after}` : ""}`,
      { signal: ending },
    );
    if (!after) list.replaceChildren();
    list.append(...page.jobs.map((job) => row(job)));
    const last = page.jobs.at(-1);
    const further = page.links.some((link) => link.rel === "next");
    more.replaceChildren(...(further ? [action(t("jobs.more"), () => load(last.jobID))] : []));
    if (list.children.length === 0) more.replaceChildren(empty(Boolean(status)));
  }

  /** Keep what is not finished up to date. */
  async function follow() {
    while (!ending.aborted) {
      await pause(POLL_MS, ending);
      const open = [...list.children].filter((item) => WORKING.includes(item.dataset.status));
      for (const item of open) {
        const job = await call("GET", `/jobs/${item.dataset.job}`, { signal: ending }).catch(
          () => null,
        );
        if (ending.aborted || !job || !item.isConnected) continue;
        if (job.status !== item.dataset.status) item.replaceWith(row(job));
        else item.querySelector(".state").textContent = stateOf(job);
      }
    }
  }

  function row(job) {
    const name = nameOf(job, known[job.inputs.ortho]);
    const took =
      job.status === "successful" && job.started
        ? duration((new Date(job.finished) - new Date(job.started)) / 1000)
        : null;
    return el(
      "li",
      { class: "card job", "data-job": job.jobID, "data-status": job.status },
      thumbnail(job),
      el(
        "div",
        { class: "grow" },
        el("a", { href: `#job=${job.jobID}` }, name),
        el(
          "p",
          { class: "dim" },
          [job.inputs.model, moment(job.created), took].filter(Boolean).join(" · "),
        ),
      ),
      el("span", { class: `state ${job.status}` }, stateOf(job)),
      action(
        t(WORKING.includes(job.status) ? "job.cancel" : "job.delete.short"),
        async () => {
          if (!window.confirm(t("job.delete.sure"))) return;
          await call("DELETE", `/jobs/${job.jobID}`).catch((error) => {
            if (!(error instanceof Problem)) throw error;
          });
          await load();
        },
        {
          class: "quiet",
          "aria-label": `${t(WORKING.includes(job.status) ? "job.cancel" : "job.delete.short")}: ${name}`,
        },
      ),
    );
  }

  /** A small picture of a finished map; drawn one after the other, while the list is looked at. */
  function thumbnail(job) {
    const frame = el("div", { class: "thumbnail", "aria-hidden": "true" });
    const raster = known[job.inputs.ortho]?.report.raster;
    const { height, dtm } = job.inputs;
    const there = (!height || known[height]) && (!dtm || known[dtm]);
    if (
      job.status !== "successful" ||
      !there ||
      !raster ||
      raster.width * raster.height > MOST_PIXELS
    )
      return frame;
    drawing = drawing
      .then(async () => {
        if (ending.aborted || !frame.isConnected) return;
        const { pictures } = await call("GET", `/jobs/${job.jobID}/pictures`, { signal: ending });
        const url = URL.createObjectURL(await blob(pathOf(pictures.classes), ending));
        const image = el("img", { src: url, alt: "", onload: () => URL.revokeObjectURL(url) });
        frame.append(image);
      })
      .catch(() => {}); // a list without a picture is a list
    return frame;
  }
}

function stateOf(job) {
  return t(`state.${job.status}`) + (job.status === "running" ? ` ${job.progress} %` : "");
}

function empty(filtered) {
  return filtered
    ? el("p", { class: "dim" }, t("jobs.none.filter"))
    : notice(
        "",
        t("jobs.none"),
        t("jobs.none.more"),
        el("p", {}, el("a", { class: "button primary", href: "#new" }, t("nav.new"))),
      );
}
