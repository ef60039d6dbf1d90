// From files to a job: they are sent and looked at, roles and model are chosen, the map is ordered.

import { Problem, call } from "./api.js";
import { AreaPicker } from "./area_picker.js";
import { action, el, notice, svg } from "./dom.js";
import { FileCard } from "./file_card.js";
import { footprint } from "./footprint.js";
import { OptionsForm, plain } from "./options_form.js";
import { t } from "./text.js";
import { area, bytes, duration, number } from "./units.js";
import { secondsFor } from "./forecast.js";
import { unfinished } from "./uploading.js";

const DRAFT = "mfnet.draft";
const ROLES = ["ortho", "height", "dtm", "aoi", "zones"];

export async function newMap(main, _argument, ending) {
  const view = new NewMap(ending);
  main.append(view.element);
  await view.restore();
}

/** Have the view of a new map begin with a file that the service has. */
export function keepForDraft(upload) {
  const draft = JSON.parse(sessionStorage.getItem(DRAFT) || "[]").filter(
    ({ id }) => id !== upload.id,
  );
  sessionStorage.setItem(DRAFT, JSON.stringify([...draft, { id: upload.id }]));
}

class NewMap {
  constructor(ending) {
    this.ending = ending;
    this.cards = [];
    this.forecastOf = "";
    const input = el("input", {
      type: "file",
      id: "files",
      multiple: true,
      class: "visually-hidden",
      onchange: () => {
        this.take([...input.files]);
        input.value = "";
      },
    });
    const sample = action(t("new.sample"), () => this.takeSample(), { class: "link" });
    this.drop = el(
      "div",
      { class: "drop" },
      twoLayers(),
      el("p", { class: "big" }, t("new.drop")),
      el("p", { class: "dim" }, t("new.drop.more")),
      el("p", {}, input, el("label", { for: "files", class: "button primary" }, t("new.choose"))),
      el("p", { class: "dim" }, t("new.nodata"), " ", sample),
    );
    this.list = el("div", { class: "files", "aria-live": "polite" });
    this.place = el("div", {});
    this.model = el("select", { id: "model", onchange: () => this.changed() });
    this.modelNote = el("p", { class: "dim", id: "model-note" });
    this.options = new OptionsForm();
    this.area = new AreaPicker(ending);
    this.derive = el("input", {
      type: "checkbox",
      id: "derive",
      "aria-describedby": "derive-more",
    });
    this.deriving = el(
      "div",
      { class: "option" },
      el("label", { class: "check", for: "derive" }, this.derive, t("new.derive")),
      el("p", { class: "dim", id: "derive-more" }, t("new.derive.more")),
    );
    this.problem = el("div", {});
    this.forecast = el("p", { class: "dim" });
    this.go = action(t("new.go"), () => this.submit(), { class: "primary large" });
    this.missing = el("p", { class: "dim", id: "missing" });
    this.second = el(
      "section",
      { class: "card", hidden: true, "aria-labelledby": "h-options" },
      el("h2", { id: "h-options" }, t("new.step2")),
      this.place,
      el("label", { for: "model" }, t("new.model")),
      this.model,
      this.modelNote,
      this.deriving,
      this.options.element,
      this.area.element,
      this.problem,
      this.missing,
      this.forecast,
      this.go,
    );
    this.element = el(
      "div",
      { class: "column" },
      el("h1", {}, t("new.title")),
      el("p", { class: "lead" }, t("new.lead")),
      this.drop,
      this.list,
      this.second,
    );
    this.listenForDrops();
  }

  /** The files of a draft that a reload has interrupted, models, and the process's options. */
  async restore() {
    // Read before anything is waited for: files may be chosen meanwhile.
    const draft = JSON.parse(sessionStorage.getItem(DRAFT) || "[]");
    const interrupted = unfinished();
    await Promise.all([this.loadModels(), this.options.load()]);
    for (const { id, role } of draft) {
      try {
        this.add(FileCard.sent(await call("GET", `/uploads/${id}`), this.handlers(), role));
      } catch (error) {
        if (!(error instanceof Problem)) throw error; // it was removed meanwhile
      }
    }
    for (const file of interrupted) {
      const card = await FileCard.unfinished(file, this.handlers());
      if (card && !this.cards.some((each) => each.isOf(file))) this.add(card);
    }
    this.changed();
  }

  async loadModels() {
    const { models } = await call("GET", "/models");
    const active = models.filter((model) => model.state === "active").map((model) => model.name);
    active.sort((a, b) => (b === "town") - (a === "town"));
    this.model.replaceChildren(...active.map((name) => el("option", { value: name }, name)));
  }

  handlers() {
    return {
      changed: () => this.changed(),
      remove: (card) => {
        this.cards = this.cards.filter((each) => each !== card);
        card.element.remove();
        this.changed();
      },
    };
  }

  add(card) {
    this.cards.push(card);
    this.list.append(card.element);
    this.changed();
  }

  /** Sends files: what stands beside a raster goes before it, or it would not be read with it. */
  async take(files) {
    for (const card of [...this.cards])
      if (card.waits && files.some((file) => card.isOf(file))) this.handlers().remove(card);
    const order = (file) => (/\.(tfw|tifw|tfwx|wld|prj|xml|msk)$/i.test(file.name) ? 0 : 1);
    const fresh = files.filter((file) => !this.cards.some((card) => card.busy && card.isOf(file)));
    const cards = fresh
      .sort((a, b) => order(a) - order(b))
      .map((file) => FileCard.of(file, this.handlers()));
    cards.forEach((card) => this.add(card));
    for (const card of cards) await card.send(this.ending);
  }

  async takeSample() {
    try {
      const pair = await call("POST", "/samples");
      this.cards.forEach((card) => card.element.remove());
      this.cards = [];
      this.add(FileCard.sent(pair.ortho, this.handlers(), "ortho"));
      this.add(FileCard.sent(pair.height, this.handlers(), "height"));
      this.model.value = "town-small";
      this.changed();
      this.go.focus();
    } catch (error) {
      this.refused(error);
      this.second.hidden = false;
    }
  }

  changed() {
    const chosen = this.chosen();
    const ready = this.cards.filter((card) => card.upload);
    sessionStorage.setItem(
      DRAFT,
      JSON.stringify(ready.map((card) => ({ id: card.upload.id, role: card.role }))),
    );
    this.drop.classList.toggle("small", this.cards.length > 0);
    this.second.hidden = ready.length === 0;
    this.problem.replaceChildren();
    this.place.replaceChildren(...footprint(chosen));
    this.deriving.hidden = Boolean(chosen.dtm) || !chosen.height;
    this.area.of(chosen.aoi ? null : chosen.ortho);
    const lacking = ["ortho", "height"].filter((role) => !chosen[role]);
    const unclear = Boolean(chosen.dtm) && !chosen.height;
    const twice = ROLES.find((role) => ready.filter((card) => card.role === role).length > 1);
    const sending = this.cards.some((card) => card.busy);
    this.go.disabled = !chosen.ortho || unclear || Boolean(twice) || sending;
    this.missing.textContent = sending
      ? t("new.sending")
      : twice
        ? t("new.twice", { role: t(`role.${twice}`) })
        : lacking.map((role) => t(`new.lacks.${role}`)).join(" ");
    this.modelNote.textContent =
      t(`model.${this.model.value}`) === `model.${this.model.value}`
        ? ""
        : t(`model.${this.model.value}`);
    this.tellForecast(chosen);
  }

  chosen() {
    const found = {};
    for (const card of this.cards)
      if (card.upload && ROLES.includes(card.role)) found[card.role] = card.upload;
    return found;
  }

  /** Area, memory and time of the map that would be made. */
  async tellForecast({ ortho }) {
    const raster = ortho?.report?.raster;
    const asked = raster ? `${ortho.id} ${this.model.value}` : "";
    if (asked === this.forecastOf) return;
    this.forecastOf = asked;
    this.forecast.textContent = "";
    if (!raster) return;
    const pixels = raster.width * raster.height;
    const parts = [t("new.size", { width: number(raster.width), height: number(raster.height) })];
    if (raster.gsd_m) parts.push(area(pixels * raster.gsd_m ** 2));
    const needs = ortho.report.estimate;
    if (needs) parts.push(t("new.memory", { size: bytes(needs.memory_bytes) }));
    const seconds = await secondsFor(pixels, this.model.value).catch(() => null);
    if (this.forecastOf !== asked) return;
    if (seconds !== null) parts.push(t("new.takes", { time: duration(seconds) }));
    this.forecast.textContent = parts.join(" · ");
  }

  async submit() {
    this.problem.replaceChildren();
    const files = Object.fromEntries(
      Object.entries(this.chosen()).map(([role, upload]) => [role, upload.id]),
    );
    if (this.derive.checked && files.height && !files.dtm) files.dtm = "auto";
    try {
      files.aoi ??= (await this.area.upload()) ?? undefined;
      const inputs = { ...files, model: this.model.value, ...this.options.values() };
      const headers = { "Idempotency-Key": this.nameOf(inputs) };
      const job = await call("POST", "/processes/segment/execution", { json: { inputs }, headers });
      sessionStorage.removeItem(DRAFT);
      location.hash = `job=${job.jobID}`;
    } catch (error) {
      this.refused(error);
    }
  }

  /** The same request has the same name, so that one whose answer was lost makes no second job. */
  nameOf(inputs) {
    const text = JSON.stringify(inputs);
    if (this.request?.text !== text) {
      const random = crypto.getRandomValues(new Uint32Array(4));
      this.request = { text, name: [...random].map((each) => each.toString(16)).join("-") };
    }
    return this.request.name;
  }

  refused(error) {
    if (!(error instanceof Problem)) throw error;
    if (error.status === 401) return;
    const surface = error.code === "pair.not_above_ground" && !this.chosen().dtm;
    const box =
      error.status === 0
        ? notice("bad", t("problem.network"), t("problem.network.mend"))
        : error.status >= 500 && error.status !== 503
          ? notice("bad", t("problem.ours"), t("problem.ours.mend", { id: error.requestId || "" }))
          : notice(
              "bad",
              t("problem.refused"),
              plain(error.message),
              surface && this.deriveButton(),
              el("p", { class: "dim" }, error.code),
            );
    box.tabIndex = -1;
    this.problem.replaceChildren(box);
    box.focus();
    const option = Object.keys(this.options.controls).find((name) =>
      error.message.includes(`inputs.${name}`),
    );
    if (option && !surface) this.options.show(option);
  }

  /** Takes the heights for a surface, and goes on. */
  deriveButton() {
    return action(t("new.derive.do"), () => {
      this.derive.checked = true;
      return this.submit();
    });
  }

  listenForDrops() {
    const within = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
    const options = { signal: this.ending };
    document.addEventListener(
      "dragover",
      (event) => {
        if (!within(event)) return;
        event.preventDefault();
        this.drop.classList.add("over");
      },
      options,
    );
    document.addEventListener(
      "dragleave",
      (event) => {
        if (event.relatedTarget === null) this.drop.classList.remove("over");
      },
      options,
    );
    document.addEventListener(
      "drop",
      (event) => {
        if (!within(event)) return;
        event.preventDefault();
        this.drop.classList.remove("over");
        this.take([...event.dataTransfer.files]);
      },
      options,
    );
    window.addEventListener(
      "beforeunload",
      (event) => {
        if (this.cards.some((card) => card.busy)) event.preventDefault();
      },
      options,
    );
  }
}

/** A drawing of what is wanted: a photo above its heights, and the map that they become. */
function twoLayers() {
  const layer = (y, fill) =>
    svg("path", { d: `M8 ${y} 60 ${y + 18} 112 ${y} 60 ${y - 18}z`, class: fill });
  return svg(
    "svg",
    { viewBox: "0 0 120 84", class: "layers", "aria-hidden": "true" },
    layer(60, "l3"),
    layer(42, "l2"),
    layer(24, "l1"),
  );
}
