// Polygons drawn on a map, corner by corner, with a pointer or with the keyboard.

/* global L */

import { el } from "./dom.js";
import { t } from "./text.js";

const EPSG = /^EPSG:\d+$/;
const SHAPE = { className: "drawn", interactive: false, pane: "markerPane" };

/** Whether what is drawn can be told in a CRS: GeoJSON names one by its code. */
export function canBeTold(crs, transform) {
  return EPSG.test(crs || "") && Boolean(transform);
}

export class PolygonDrawing {
  /**
   * @param {import("./map_view.js").MapView} view shows the map
   * @param {AbortSignal} ending of the page that holds it
   * @param {(corners: object[]) => void} finished gets the corners of each polygon
   */
  constructor(view, ending, finished) {
    Object.assign(this, { view, ending, finished, corners: null });
    this.button = el(
      "button",
      { type: "button", onclick: () => (this.corners ? this.finish() : this.begin()) },
      t("draw.begin"),
    );
    this.corner = el(
      "button",
      {
        type: "button",
        class: "link",
        hidden: true,
        onclick: () => this.add(this.view.map.getCenter()),
      },
      t("draw.corner"),
    );
    this.hint = el("p", { class: "dim", "aria-live": "polite" });
    this.element = el("div", {}, el("p", {}, this.button, " ", this.corner), this.hint);
  }

  begin() {
    const { map } = this.view;
    this.corners = [];
    this.view.drawing = true;
    map.doubleClickZoom.disable();
    map.getContainer().classList.add("drawing");
    this.line = L.polygon([], SHAPE).addTo(map);
    this.onClick = (event) => this.add(event.latlng);
    this.onKey = (event) => {
      if (event.key === "Escape") this.stop();
      if (event.key === "Enter" && event.target === map.getContainer()) this.finish();
    };
    map.on("click", this.onClick);
    map.on("dblclick", this.finish, this);
    document.addEventListener("keydown", this.onKey, { signal: this.ending });
    this.button.textContent = t("draw.finish");
    this.corner.hidden = false;
    this.hint.textContent = t("draw.hint");
  }

  add(place) {
    const before = this.corners.at(-1);
    if (before && before.equals(place)) return; // the second half of a double click
    this.corners.push(place);
    this.line.setLatLngs(this.corners);
  }

  stop() {
    const { map } = this.view;
    map.off("click", this.onClick);
    map.off("dblclick", this.finish, this);
    document.removeEventListener("keydown", this.onKey);
    map.doubleClickZoom.enable();
    map.getContainer().classList.remove("drawing");
    this.line.remove();
    this.view.drawing = false;
    this.corners = null;
    this.button.textContent = t("draw.begin");
    this.corner.hidden = true;
    this.hint.textContent = "";
  }

  finish() {
    const corners = this.corners;
    if (!corners) return;
    if (corners.length < 3) {
      this.hint.textContent = t("draw.few");
      return;
    }
    this.stop();
    this.finished(corners);
  }
}

/** A polygon that stays on the map, and its row in a list with a button that removes it. */
export function drawnPolygon(view, corners, name, style, removed) {
  const polygon = { corners, shape: L.polygon(corners, { ...SHAPE, ...style }).addTo(view.map) };
  const remove = () => {
    polygon.shape.remove();
    polygon.row.remove();
    removed(polygon);
  };
  polygon.remove = remove;
  polygon.row = el(
    "li",
    { class: "row" },
    el("span", { class: "grow" }, name),
    el("button", { type: "button", class: "link", onclick: remove }, t("draw.remove")),
  );
  return polygon;
}

/**
 * Polygons as GeoJSON in the raster's own CRS.
 *
 * @param {import("./map_view.js").MapView} view they were drawn on
 * @param {{crs: string, transform: number[]}} raster whose pixels the map shows
 * @param {{corners: object[], properties: object}[]} polygons
 */
export function geojson(view, { crs, transform: [a, b, c, d, e, f] }, polygons) {
  const ground = (place) => {
    const { row, column } = view.pixelAt(place);
    return [a * column + b * row + c, d * column + e * row + f];
  };
  const features = polygons.map(({ corners, properties }) => {
    const ring = corners.map(ground);
    return {
      type: "Feature",
      properties,
      geometry: { type: "Polygon", coordinates: [[...ring, ring[0]]] },
    };
  });
  return {
    type: "FeatureCollection",
    crs: { type: "name", properties: { name: crs } },
    features,
  };
}
