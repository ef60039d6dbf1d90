// The pictures of a job on a map that can be moved: two layers, opacity, a swipe between them, and
// what the map says at a place. Its plane is the orthophoto's pixels, in metres where they are known.

/* global L */

import { el } from "./dom.js";
import { className } from "./legend.js";
import { t } from "./text.js";
import { number } from "./units.js";

const RASTERS = ["ortho", "hillshade", "heights"];
const MAP = ["classes", "confidence"];

export class MapView {
  /**
   * @param {HTMLElement} holder gets the map
   * @param {{rows: number, columns: number, step: number, top_m: number}} told of the pictures
   * @param {Object<string, string | () => Promise<string>>} pictures addresses by name, or what
   *   fetches one when it is first looked at
   * @param {object|null} statistics of the map
   * @param {(row: number, column: number) => Promise<object>} ask what the map says at a pixel
   */
  constructor(holder, told, pictures, statistics, ask) {
    Object.assign(this, { holder, told, pictures, statistics, ask });
    const gsd = statistics?.pair?.gsd_m;
    this.unit = told.step * (gsd || 1);
    this.bounds = [
      [0, 0],
      [told.rows * this.unit, told.columns * this.unit],
    ];
    holder.replaceChildren();
    this.map = L.map(holder, {
      crs: L.CRS.Simple,
      attributionControl: false,
      minZoom: -12,
      maxZoom: 8,
      zoomSnap: 0.25,
      zoomControl: false,
    });
    L.control.zoom({ zoomInTitle: t("map.in"), zoomOutTitle: t("map.out") }).addTo(this.map);
    if (gsd) L.control.scale({ imperial: false }).addTo(this.map);
    this.map.createPane("above").style.zIndex = 450;
    this.map.fitBounds(this.bounds);
    this.layers = { below: null, above: null };
    this.chosen = {};
    const there = (names) => names.filter((name) => name in pictures);
    this.offered = {
      below: [...there(RASTERS), ...("confidence" in pictures ? ["classes"] : [])],
      above: [...there(MAP), ...there(["hillshade"])],
    };
    this.choose("below", this.offered.below[0]);
    this.choose("above", there(MAP)[0]);
    this.swipeAt = 0;
    this.line = el("div", { class: "swipe-line", hidden: true });
    this.line.addEventListener("pointerdown", (event) => this.dragLine(event));
    L.DomEvent.disableClickPropagation(this.line);
    holder.append(this.line);
    this.controls = this.makeControls();
    this.map.on("move zoom zoomend resize", () => this.swipe());
    this.drawing = false; // while somebody draws, a click is theirs
    if (statistics) this.map.on("click", (event) => this.drawing || this.read(event.latlng));
    new ResizeObserver(() => this.map.invalidateSize()).observe(holder);
  }

  async choose(place, name) {
    this.chosen[place] = name;
    const picture = this.pictures[name];
    const url = typeof picture === "function" ? await picture() : picture;
    if (this.chosen[place] !== name) return; // another was chosen meanwhile
    this.layers[place]?.remove();
    this.layers[place] = null;
    if (url === undefined) {
      this.keys?.replaceChildren(...this.keysOf());
      return;
    }
    const pane = place === "above" ? "above" : "overlayPane";
    const layer = L.imageOverlay(url, this.bounds, {
      pane,
      alt: t(`layer.${name}`),
      className: name === "classes" ? "crisp" : "",
    });
    layer.addTo(this.map);
    if (place === "above") layer.setOpacity(this.opacity ?? 0.65);
    this.layers[place] = layer;
    this.keys?.replaceChildren(...this.keysOf());
  }

  /** Finished rows of a map that is still computed, in pixels of the pictures. */
  showRows(url, firstRow, rows) {
    const top = (this.told.rows - firstRow) * this.unit;
    const bounds = [
      [top - rows * this.unit, 0],
      [top, this.told.columns * this.unit],
    ];
    const layer = L.imageOverlay(url, bounds, {
      pane: "above",
      alt: t("map.rows"),
      className: "crisp",
    });
    layer.setOpacity(0.65).addTo(this.map);
  }

  makeControls() {
    const radios = (place, names) =>
      el(
        "fieldset",
        {},
        el("legend", {}, t(`map.${place}`)),
        names.map((name, index) =>
          el(
            "label",
            { class: "check" },
            el("input", {
              type: "radio",
              name: place,
              value: name,
              checked: index === 0,
              onchange: () => this.choose(place, name),
            }),
            t(`layer.${name}`),
          ),
        ),
      );
    const slider = (id, value, oninput) => [
      el("label", { for: id }, t(`map.${id}`)),
      el("input", {
        type: "range",
        id,
        min: 0,
        max: 100,
        value,
        oninput: (event) => oninput(event.target.value / 100),
      }),
    ];
    this.keys = el("div", {}, this.keysOf());
    this.here = el("dl", { class: "here", "aria-live": "polite" });
    const { below, above } = this.offered;
    return el(
      "section",
      { class: "controls" },
      el("h2", {}, t("map.title")),
      el(
        "div",
        { class: "pickers" },
        below.length ? radios("below", below) : null,
        above.length ? radios("above", [...above, "nothing"]) : null,
      ),
      this.keys,
      above.length
        ? [
            ...slider("opacity", 65, (share) => {
              this.opacity = share;
              this.layers.above?.setOpacity(share);
            }),
            ...(this.swipeSlider = slider("swipe", 0, (share) => this.swipe(share))),
            el(
              "p",
              { class: "dim" },
              t("map.click"),
              " ",
              el(
                "button",
                { type: "button", class: "link", onclick: () => this.read(this.map.getCenter()) },
                t("map.centre"),
              ),
            ),
            this.here,
          ]
        : null,
    );
  }

  /** What the colours of heights and of confidence mean, where they are shown. */
  keysOf() {
    const shown = (name) =>
      Object.values(this.layers).some((layer) => layer?.options.alt === t(`layer.${name}`));
    const ramp = (name, low, high) =>
      el(
        "div",
        { class: "ramp" },
        el("span", {}, t(`layer.${name}`)),
        el("span", {}, low),
        el("span", { class: `colours ${name}`, "aria-hidden": "true" }),
        el("span", {}, high),
      );
    return [
      shown("heights") && ramp("heights", "0 m", `${number(this.told.top_m, 0)} m`),
      shown("confidence") && ramp("confidence", "0 %", "100 %"),
    ].filter(Boolean);
  }

  /** The swipe's line follows the pointer, and the slider the line. */
  dragLine(event) {
    event.preventDefault();
    this.line.setPointerCapture(event.pointerId);
    const box = this.holder.getBoundingClientRect();
    this.line.onpointermove = ({ clientX }) => {
      const share = Math.min(Math.max((clientX - box.left) / box.width, 0.01), 1);
      this.swipe(share);
      this.swipeSlider[1].value = 100 * share;
    };
    this.line.onpointerup = () => {
      this.line.onpointermove = null;
    };
  }

  /** Hide what lies above left of a line, at a share of the window's width. */
  swipe(share = this.swipeAt) {
    this.swipeAt = share;
    const size = this.map.getSize();
    const from = this.map.containerPointToLayerPoint([size.x * share, 0]);
    const to = this.map.containerPointToLayerPoint(size);
    const pane = this.map.getPane("above");
    pane.style.clip = share > 0 ? `rect(${from.y}px, ${to.x}px, ${to.y}px, ${from.x}px)` : "";
    this.line.hidden = share === 0;
    this.line.style.left = `${100 * share}%`;
  }

  /** The place in pixels of the orthophoto, from its upper left corner. */
  pixelAt({ lat, lng }) {
    const pixel = this.unit / this.told.step;
    return { row: (this.told.rows * this.unit - lat) / pixel, column: lng / pixel };
  }

  async read({ lat, lng }) {
    const row = Math.floor(this.told.rows - lat / this.unit);
    const column = Math.floor(lng / this.unit);
    if (row < 0 || column < 0 || row >= this.told.rows || column >= this.told.columns) return;
    this.mark ??= L.circleMarker([lat, lng], {
      radius: 6,
      className: "mark",
      interactive: false,
      pane: "markerPane",
    }).addTo(this.map);
    this.mark.setLatLng([lat, lng]);
    const { value, confidence, height_m: height } = await this.ask(row, column);
    const told = [
      [
        t("here.class"),
        value === null ? t("here.none") : className(this.statistics.classes[value]),
      ],
      [t("here.confidence"), confidence === null ? null : `${number(confidence)} %`],
      [t("here.height"), height === null ? t("here.none") : `${number(height, 1)} m`],
      [t("here.pixel"), `${number(row * this.told.step)}, ${number(column * this.told.step)}`],
    ];
    this.here.replaceChildren(
      ...told
        .filter(([, text]) => text !== null)
        .flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]),
    );
  }
}
