// One job: how far it is, and its map once there is one.

import { Problem, blob, call, pathOf } from "./api.js";
import { action, el, notice, toast } from "./dom.js";
import { changes } from "./changes.js";
import { Corrections } from "./corrections.js";
import { curves } from "./curves.js";
import { legend } from "./legend.js";
import { MapView } from "./map_view.js";
import { isId, nameOf, t, tOr } from "./text.js";
import { duration, moment } from "./units.js";

const POLL_MS = 1000;
const MOST_TRIES = 60;
const ENDED = ["successful", "failed", "dismissed"];

export async function job(main, id, ending) {
  const page = new JobPage(id, ending);
  main.append(page.element);
  await page.follow();
}

class JobPage {
  constructor(id, ending) {
    this.id = id;
    this.ending = ending;
    this.path = `/jobs/${encodeURIComponent(id)}`;
    this.title = el("h1", {}, t("process.segment"));
    this.about = el("p", { class: "dim" });
    this.body = el("div", {});
    this.remarks = el("div", { class: "narrower" });
    this.element = el("div", {}, this.title, this.about, this.body, this.remarks);
    this.bar = el("progress", { max: 100, value: 0, "aria-label": t("job.progress") });
    this.words = el("p", { role: "status" });
    this.running = el(
      "section",
      { class: "card column" },
      this.words,
      this.bar,
      action(t("job.cancel"), () => this.cancel(), { class: "danger" }),
    );
  }

  async follow() {
    while (!this.ending.aborted) {
      try {
        this.status = await call("GET", this.path, { signal: this.ending });
      } catch (error) {
        if (error.name === "AbortError" || error.status === 401) return;
        if (error.status === 404) return this.unknown();
        if (!(error instanceof Problem)) throw error;
        this.words.textContent = t("problem.network");
        await pause(3 * POLL_MS, this.ending);
        continue;
      }
      await this.show();
      if (ENDED.includes(this.status.status)) return;
      await pause(POLL_MS, this.ending);
    }
  }

  async show() {
    const { status, remarks } = this.status;
    if (!this.named) await this.name();
    if (this.shown !== status) {
      this.shown = status;
      this.remarks.replaceChildren(
        ...(remarks || []).map((remark) => notice("warn", remark.message)),
      );
      if (status === "successful") await this.result();
      else if (status === "failed") this.failed();
      else if (status === "dismissed")
        this.body.replaceChildren(
          el(
            "div",
            { class: "narrower" },
            notice(
              "warn",
              t("job.dismissed"),
              el("p", {}, el("a", { href: "#new" }, t("nav.new"))),
            ),
          ),
        );
      else if (!this.body.contains(this.running)) this.begin();
    }
    this.tellProgress();
  }

  /** What was mapped, by the names of its files. */
  async name() {
    this.named = true;
    const { inputs, created } = this.status;
    const upload = isId(inputs.ortho)
      ? await call("GET", `/uploads/${inputs.ortho}`, { signal: this.ending }).catch(() => null)
      : null;
    this.title.textContent = nameOf(this.status, upload);
    const model = inputs.model && t("job.model", { model: inputs.model });
    this.about.textContent = [model, moment(created)].filter(Boolean).join(" · ");
    document.title = `${this.title.textContent} · MFNet`;
  }

  begin() {
    if (this.status.processID === "retrain") {
      this.curves = el("div", { class: "curves" });
      this.body.replaceChildren(this.running, this.curves);
      return;
    }
    if (this.status.processID !== "segment") return this.body.replaceChildren(this.running);
    this.preview = el("div", { class: "map preview" });
    this.rows = new Set();
    this.body.replaceChildren(this.running, this.preview);
    this.showPictures(this.preview).then((view) => {
      if (view === null) this.preview.remove();
      this.early = view;
    });
  }

  /** The rows that are finished, over the orthophoto. */
  async tellRows() {
    const { strips } = await call("GET", `${this.path}/preview`, { signal: this.ending });
    for (const { href, first_row: first, rows } of strips) {
      if (this.rows.has(href)) continue;
      this.rows.add(href);
      const url = URL.createObjectURL(await blob(pathOf(href), this.ending));
      this.ending.addEventListener("abort", () => URL.revokeObjectURL(url));
      this.early.showRows(url, first, rows);
    }
  }

  tellProgress() {
    const { status, progress, secondsLeft } = this.status;
    this.bar.value = progress;
    if (status === "accepted") this.words.textContent = t("job.accepted");
    if (status !== "running") return;
    this.tellMore();
    const left =
      secondsLeft === undefined
        ? progress < 3 && t("job.starting")
        : t("job.left", { time: duration(secondsLeft) });
    const { processID, message } = this.status;
    this.words.textContent = [`${progress} %`, processID !== "segment" && message, left]
      .filter(Boolean)
      .join(" · ");
  }

  /** What there is to see of it already: a retraining's curves, a map's rows. */
  async tellMore() {
    if (this.telling) return;
    this.telling = true;
    try {
      if (this.curves) await this.tellCurves();
      else if (this.early) await this.tellRows();
    } catch (error) {
      if (error.name !== "AbortError" && !(error instanceof Problem)) throw error;
    } finally {
      this.telling = false;
    }
  }

  async tellCurves() {
    const told = await call("GET", `${this.path}/curves`, { signal: this.ending });
    this.curves.replaceChildren(...curves(told));
  }

  failed() {
    const { exception } = this.status;
    this.body.replaceChildren(
      el(
        "div",
        { class: "narrower" },
        notice(
          "bad",
          t("job.failed"),
          exception?.detail || this.status.message,
          el("p", { class: "dim" }, exception?.code || ""),
          el("p", {}, el("a", { href: "#new" }, t("nav.new"))),
        ),
      ),
    );
  }

  async result() {
    if (this.status.processID === "retrain") return this.retrained();
    if (this.status.processID === "batch") return this.mapped();
    const holder = el("div", { class: "map" }, el("p", { class: "wait" }, t("job.drawing")));
    const side = el("aside", { class: "side", "aria-label": t("job.result") });
    this.body.replaceChildren(
      el("div", { class: "result" }, el("div", { class: "stays" }, holder, this.remarks), side),
    );
    const { inputs, processID } = this.status;
    const results = await call("GET", `${this.path}/results`, { signal: this.ending });
    const statistics =
      "statistics.json" in results && processID === "segment"
        ? JSON.parse(await (await blob(`${this.path}/results/statistics.json`, this.ending)).text())
        : null;
    const controls = el("div", {});
    side.append(
      ...[controls, statistics && legend(statistics), this.downloads(results), this.share()].filter(
        Boolean,
      ),
    );
    if (!statistics || inputs.ortho === undefined) return holder.remove();
    const view = await this.showPictures(holder, statistics);
    if (!view) return;
    controls.replaceWith(view.controls);
    if (!inputs.height) return; // models learn from both
    const { element } = new Corrections(view, statistics, {
      path: this.path,
      id: this.id,
      model: inputs.model,
      ending: this.ending,
    });
    side.children[1].after(element);
  }

  /** The jobs of a batch. */
  async mapped() {
    const { jobs } = await call("GET", `${this.path}/results`, { signal: this.ending });
    const rows = jobs.value.map(({ id, message }, n) =>
      el("li", {}, el("a", { href: `#job=${id}` }, `${n + 1}: ${message}`)),
    );
    this.body.replaceChildren(el("ul", { class: "downloads" }, rows));
  }

  /** What became of a retraining. */
  async retrained() {
    const results = await call("GET", `${this.path}/results`, { signal: this.ending });
    const changed = await changes(this.path, results, this.ending);
    const parts = [changed, this.downloads(results), this.share()].filter(Boolean);
    const said = el("p", { class: "lead" }, this.status.message);
    this.body.replaceChildren(el("div", { class: "column" }, said, ...parts));
  }

  /** The map view in an element; null where nothing can be drawn. */
  async showPictures(holder, statistics = null) {
    try {
      const told = await this.pictures();
      if (this.ending.aborted || !holder.isConnected) return null;
      const pictures = Object.fromEntries(
        Object.entries(told.pictures).map(([name, address]) => [name, this.once(address)]),
      );
      return new MapView(holder, told, pictures, statistics, (row, column) =>
        call("GET", `${this.path}/pixel?row=${row}&column=${column}`, { signal: this.ending }),
      );
    } catch (error) {
      if (error.name === "AbortError") return null;
      holder.replaceChildren(notice("warn", t("job.undrawn"), error.message));
      return null;
    }
  }

  /** Fetches a picture when it is first asked for. */
  once(address) {
    let url = null;
    this.ending.addEventListener("abort", () => url?.then(URL.revokeObjectURL, () => {}));
    return () =>
      (url ??= blob(pathOf(address), this.ending).then((picture) => URL.createObjectURL(picture)));
  }

  /** What pictures there are; a large map is drawn for longer than one answer may take. */
  async pictures() {
    const { inputs, status } = this.status;
    const alone = inputs.dtm === "auto" && status !== "successful"; // there is no terrain yet
    const path = alone ? `/uploads/${inputs.ortho}` : this.path;
    for (let tries = 0; ; tries += 1) {
      try {
        return await call("GET", `${path}/pictures`, { signal: this.ending });
      } catch (error) {
        if (![502, 503, 504].includes(error.status) || tries === MOST_TRIES) throw error;
        await pause(5 * POLL_MS, this.ending);
      }
    }
  }

  downloads(results) {
    const all = action(t("job.zip"), () => this.save("results.zip", `${this.id.slice(0, 8)}.zip`), {
      class: "link",
    });
    const order = (name) => (name === "classes.tif" ? 0 : name === "statistics.json" ? 1 : 2);
    const rows = Object.keys(results)
      .sort((a, b) => order(a) - order(b) || a.localeCompare(b))
      .map((name) =>
        el(
          "li",
          {},
          action(name, () => this.download(name), { class: "link" }),
          el("span", { class: "dim" }, tOr(`file.${name}`, "")),
        ),
      );
    return el(
      "section",
      {},
      el("h2", {}, t("job.downloads")),
      el("ul", { class: "downloads" }, rows, el("li", {}, all)),
    );
  }

  download(name) {
    return this.save(`results/${encodeURIComponent(name)}`, name);
  }

  async save(address, name) {
    try {
      const file = await blob(`${this.path}/${address}`, this.ending);
      const url = URL.createObjectURL(file);
      el("a", { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60000);
    } catch (error) {
      if (error.name !== "AbortError") toast(error.message || t("problem.network"), "bad");
    }
  }

  share() {
    const address = `${location.href.split("#")[0]}#job=${this.id}`;
    const field = el("input", {
      type: "text",
      readonly: true,
      value: address,
      "aria-label": t("job.link"),
      onfocus: (event) => event.target.select(),
    });
    return el(
      "section",
      {},
      el("h2", {}, t("job.link")),
      el(
        "div",
        { class: "row" },
        field,
        action(t("job.copy"), async () => {
          field.select();
          await navigator.clipboard?.writeText(address);
          toast(t("job.copied"));
        }),
      ),
      el("p", { class: "dim" }, this.say("job.link.more")),
      action(this.say("job.delete"), () => this.remove(), { class: "danger" }),
    );
  }

  /** Words about this job; a retraining's are its own. */
  say(name) {
    return t(this.status.processID === "retrain" ? `${name}.retraining` : name);
  }

  async cancel() {
    await call("DELETE", this.path).catch((error) => toast(error.message, "bad"));
    this.status = await call("GET", this.path).catch(() => this.status);
    await this.show();
  }

  async remove() {
    if (!window.confirm(this.say("job.delete.sure"))) return;
    await call("DELETE", this.path);
    location.hash = "jobs";
  }

  unknown() {
    this.body.replaceChildren(
      notice(
        "bad",
        t("job.unknown"),
        t("job.unknown.more"),
        el("p", {}, el("a", { href: "#jobs" }, t("nav.jobs"))),
      ),
    );
  }
}

/** Waits; no longer than the view is there. */
export function pause(ms, ending) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    ending.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
