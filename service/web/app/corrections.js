// Polygons drawn over a map, each with the class that it should be, sent as a correction.

import { Problem, call, putText } from "./api.js";
import { action, el, notice, toast } from "./dom.js";
import { className } from "./legend.js";
import { PolygonDrawing, canBeTold, drawnPolygon, geojson } from "./polygon_drawing.js";
import { t } from "./text.js";

export class Corrections {
  /**
   * @param {import("./map_view.js").MapView} view shows the map
   * @param {object} statistics of the map
   * @param {{path: string, id: string, model: string, ending: AbortSignal}} job whose map it is
   */
  constructor(view, statistics, job) {
    Object.assign(this, { view, statistics, job, polygons: [], raster: statistics.pair.ortho });
    this.count = el("p", { class: "dim" });
    this.element = el(
      "details",
      { class: "section" },
      el("summary", {}, t("correct.title")),
      this.body(),
    );
    this.element.addEventListener("toggle", () => this.element.open && this.tellCount());
  }

  body() {
    if (!canBeTold(this.raster.crs, this.raster.transform))
      return el("p", { class: "dim" }, t("correct.crs"));
    this.classes = el(
      "select",
      { id: "correct-class" },
      this.statistics.classes.map((each) => el("option", { value: each.name }, className(each))),
    );
    const drawing = new PolygonDrawing(this.view, this.job.ending, (corners) => this.add(corners));
    this.list = el("ul", { class: "polygons" });
    this.problem = el("div", {});
    this.send = action(t("correct.send"), () => this.sendAll(), { class: "primary", hidden: true });
    return el(
      "div",
      {},
      el("p", { class: "dim" }, t("correct.lead")),
      el("label", { for: "correct-class" }, t("correct.class")),
      this.classes,
      drawing.element,
      this.list,
      this.problem,
      this.send,
      this.count,
    );
  }

  add(corners) {
    const found = this.statistics.classes.find((each) => each.name === this.classes.value);
    const style = { fillColor: found.color, fillOpacity: 0.55 };
    const polygon = drawnPolygon(this.view, corners, className(found), style, (gone) => {
      this.polygons = this.polygons.filter((each) => each !== gone);
      this.send.hidden = this.polygons.length === 0;
    });
    polygon.properties = { class: found.name };
    this.polygons.push(polygon);
    this.list.append(polygon.row);
    this.send.hidden = false;
  }

  async sendAll() {
    this.problem.replaceChildren();
    try {
      const labels = await putText(
        `correction-${this.job.id.slice(0, 8)}-${Date.now()}.geojson`,
        JSON.stringify(geojson(this.view, this.raster, this.polygons)),
      );
      const tile = await call("POST", `${this.job.path}/corrections`, {
        json: { labels: labels.id },
      });
      toast(t("correct.sent", { pixels: tile.report.labelled }));
      [...this.polygons].forEach((polygon) => polygon.remove());
      await this.tellCount();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.problem.replaceChildren(notice("bad", t("correct.refused"), error.message));
    }
  }

  /** How many corrections wait for the next training. */
  async tellCount() {
    const [{ tiles }, model] = await Promise.all([
      call("GET", "/tiles?limit=1000", { signal: this.job.ending }),
      call("GET", `/models/${this.job.model.split("@")[0]}`, { signal: this.job.ending }),
    ]);
    const waiting = tiles.filter(
      (tile) => model.job === null || tile.created > model.created,
    ).length;
    this.count.textContent = t("correct.count", { n: waiting });
  }
}
