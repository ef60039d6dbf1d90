// The area of interest, drawn on the orthophoto before a map is ordered.

import { Problem, blob, call, pathOf, putText } from "./api.js";
import { el, notice } from "./dom.js";
import { MapView } from "./map_view.js";
import { PolygonDrawing, canBeTold, drawnPolygon, geojson } from "./polygon_drawing.js";
import { t } from "./text.js";

export class AreaPicker {
  /**
   * @param {AbortSignal} ending of the page that holds it
   */
  constructor(ending) {
    Object.assign(this, { ending, ortho: null, polygons: [], sent: null });
    this.body = el("div", {});
    this.element = el("details", { hidden: true }, el("summary", {}, t("area.title")), this.body);
    this.element.addEventListener("toggle", () => this.element.open && this.show());
  }

  /** For another orthophoto, an upload, or for none. */
  of(ortho) {
    const raster = ortho?.report.raster;
    this.element.hidden = !canBeTold(raster?.crs, raster?.transform);
    if (ortho?.id === this.ortho?.id) return;
    this.ortho = ortho;
    this.element.open = false;
    this.polygons = [];
    this.body.replaceChildren();
  }

  async show() {
    if (this.body.hasChildNodes()) return;
    const holder = el("div", { class: "map preview" }, el("p", { class: "wait" }, t("area.wait")));
    this.body.replaceChildren(el("p", { class: "dim" }, t("area.lead")), holder);
    const ortho = this.ortho;
    try {
      const told = await call("GET", `/uploads/${ortho.id}/pictures`, { signal: this.ending });
      const picture = await blob(pathOf(told.pictures.ortho), this.ending);
      if (this.ortho !== ortho || !holder.isConnected) return;
      const url = URL.createObjectURL(picture);
      this.ending.addEventListener("abort", () => URL.revokeObjectURL(url));
      this.view = new MapView(holder, told, { ortho: url }, null, null);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof Problem)) throw error;
      this.body.replaceChildren(notice("warn", t("area.undrawn"), error.message));
      return;
    }
    this.list = el("ul", { class: "polygons" });
    const drawing = new PolygonDrawing(this.view, this.ending, (corners) => this.add(corners));
    this.body.append(drawing.element, this.list);
  }

  add(corners) {
    const name = t("area.one", { n: this.polygons.length + 1 });
    const polygon = drawnPolygon(this.view, corners, name, { fillOpacity: 0.25 }, (gone) => {
      this.polygons = this.polygons.filter((each) => each !== gone);
    });
    this.polygons.push(polygon);
    this.list.append(polygon.row);
  }

  /** The id of an upload of what was drawn; null where nothing was. The same area is sent once. */
  async upload() {
    if (this.polygons.length === 0) return null;
    const drawn = this.polygons.map(({ corners }) => ({ corners, properties: {} }));
    const text = JSON.stringify(geojson(this.view, this.ortho.report.raster, drawn));
    if (this.sent?.text !== text) {
      const { id } = await putText("area-of-interest.geojson", text);
      this.sent = { text, id };
    }
    return this.sent.id;
  }
}
