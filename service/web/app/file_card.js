// One file of a draft: on its way, refused, or looked at.

import { Problem } from "./api.js";
import { el, notice } from "./dom.js";
import { plain } from "./options_form.js";
import { t, tOr } from "./text.js";
import { bytes, duration, number } from "./units.js";
import { begun, giveUp, send } from "./uploading.js";

const RASTER_ROLES = ["ortho", "height", "dtm", "none"];
const POLYGON_ROLES = ["aoi", "zones", "none"];

export class FileCard {
  /** A file that is yet to be sent. */
  static of(file, handlers) {
    const card = new FileCard(file.name, file.size, handlers);
    card.file = file;
    card.busy = true;
    card.state.textContent = t("file.waiting");
    return card;
  }

  /** One that a reload has interrupted: its sender has to choose it again. */
  static async unfinished(file, handlers) {
    const there = await begun(file);
    if (there === null) return null;
    const card = new FileCard(file.name, file.size, handlers);
    card.file = file;
    card.waits = true;
    card.bar.hidden = false;
    card.bar.value = there.offset / file.size;
    card.state.textContent = t("file.unfinished", {
      done: bytes(there.offset),
      total: bytes(file.size),
    });
    return card;
  }

  /** Whether this card is of that file, as far as a browser can tell. */
  isOf({ name, size, lastModified }) {
    return (
      Boolean(this.file) &&
      name === this.file.name &&
      size === this.file.size &&
      lastModified === this.file.lastModified
    );
  }

  /** One that the service has. */
  static sent(upload, handlers, role) {
    const card = new FileCard(upload.name, upload.bytes, handlers);
    card.received(upload, role);
    return card;
  }

  constructor(name, size, handlers) {
    this.name = name;
    this.handlers = handlers;
    this.busy = false;
    this.upload = null;
    this.role = "none";
    this.bar = el("progress", {
      max: 1,
      value: 0,
      "aria-label": t("file.progress", { name }),
      hidden: true,
    });
    this.state = el("p", { class: "dim state" });
    this.body = el("div", { class: "told" });
    this.roles = el(
      "select",
      {
        "aria-label": t("file.role", { name }),
        hidden: true,
        onchange: () => {
          this.role = this.roles.value;
          this.handlers.changed();
        },
      },
    );
    this.close = el(
      "button",
      {
        type: "button",
        class: "quiet",
        "aria-label": t("file.remove", { name }),
        title: t("file.remove", { name }),
        onclick: () => this.remove(),
      },
      "×",
    );
    this.element = el(
      "article",
      { class: "card file" },
      el(
        "div",
        { class: "head" },
        el("h3", {}, name),
        el("span", { class: "dim" }, bytes(size)),
        this.roles,
        this.close,
      ),
      this.bar,
      this.state,
      this.body,
    );
  }

  async send(ending) {
    if (this.gone) return;
    this.bar.hidden = false;
    this.sending = send(this.file, (sent) => this.tell(sent));
    ending.addEventListener("abort", () => this.sending.stop());
    try {
      this.received(await this.sending.done);
    } catch (error) {
      this.busy = false;
      if (error.name === "AbortError") return;
      if (!(error instanceof Problem)) throw error;
      this.failed(error);
    }
    this.handlers.changed();
  }

  tell({ done, total, rate, left, again }) {
    this.bar.value = done / total;
    if (again) this.state.textContent = t("file.retry", { done: bytes(done), total: bytes(total) });
    else if (done >= total) this.state.textContent = t("file.looking");
    else {
      this.state.textContent = t("file.going", {
        done: bytes(done),
        total: bytes(total),
        rate: bytes(rate),
        left: left < 1e6 ? duration(left) : "…",
      });
    }
  }

  received(upload, role) {
    this.upload = upload;
    this.busy = false;
    this.bar.hidden = true;
    const { raster, layers, kind } = upload.report;
    const roles = raster ? RASTER_ROLES : layers ? POLYGON_ROLES : [];
    this.roles.replaceChildren(
      ...roles.map((each) => el("option", { value: each }, t(`role.${each}`))),
    );
    this.role = role ?? roleOf(upload);
    this.roles.value = this.role;
    this.roles.hidden = roles.length === 0;
    this.state.textContent = raster
      ? facts(raster)
      : layers
        ? t("file.polygons", { n: number(layers.reduce((sum, each) => sum + each.features, 0)) })
        : kind
          ? tOr(`kind.${kind}`, t("file.beside"))
          : t("file.unused");
    this.body.replaceChildren(
      ...(upload.report.remarks || []).map((remark) => notice("warn", plain(remark.message))),
    );
  }

  failed(error) {
    this.bar.hidden = true;
    this.state.textContent = "";
    this.element.classList.add("refused");
    const again = el(
      "button",
      {
        type: "button",
        onclick: () => {
          this.element.classList.remove("refused");
          this.body.replaceChildren();
          this.busy = true;
          this.send(new AbortController().signal);
        },
      },
      t("file.again"),
    );
    const ours = error.status === 0 || error.status >= 500;
    this.body.replaceChildren(
      ours
        ? notice("bad", t(error.status === 0 ? "problem.network" : "problem.ours"), again)
        : notice(
            "bad",
            t("file.refused"),
            plain(error.message),
            el("p", { class: "dim" }, error.code),
          ),
    );
  }

  remove() {
    this.gone = true;
    this.sending?.stop();
    if (this.file && !this.upload) giveUp(this.file);
    this.handlers.remove(this);
  }
}

/** What a file is most likely for, by what the inspection and its name say. */
function roleOf({ name, report }) {
  const suits = report.suits || [];
  if (suits.includes("orthophoto")) return "ortho";
  if (suits.includes("height raster"))
    return /dtm|dgm|dem|terrain|bare/i.test(name) ? "dtm" : "height";
  if (report.layers) return "aoi";
  return "none";
}

function facts(raster) {
  const told = [t("file.pixels", { width: number(raster.width), height: number(raster.height) })];
  told.push(t(raster.bands === 1 ? "file.band" : "file.bands", { n: raster.bands }));
  if (raster.gsd_m) told.push(t("file.gsd", { cm: number(raster.gsd_m * 100, 1) }));
  told.push(
    raster.crs ? (raster.crs.length < 40 ? raster.crs : t("file.crs.own")) : t("file.crs.none"),
  );
  if (raster.valid_percent !== null && raster.valid_percent < 99.95)
    told.push(t("file.valid", { percent: number(raster.valid_percent, 1) }));
  if (raster.bands === 1 && raster.minimum !== null)
    told.push(t("file.range", { low: number(raster.minimum, 1), high: number(raster.maximum, 1) }));
  return told.join(" · ");
}
