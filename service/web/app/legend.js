// The classes of a map: colour, name, area, and share as a bar.

import { el, headings, svg } from "./dom.js";
import { t, tOr } from "./text.js";
import { area, percent } from "./units.js";

export function legend(statistics) {
  const most = Math.max(...statistics.classes.map((each) => each.share), 1e-9);
  const rows = statistics.classes.map((each) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, swatch(each.color), className(each)),
      el("td", { class: "bar" }, bar(each, most)),
      el("td", {}, percent(each.share)),
      el("td", {}, area(each.area_m2)),
    ),
  );
  return el(
    "section",
    {},
    el("h2", {}, t("legend.title")),
    el(
      "table",
      { class: "legend" },
      headings(
        [t("legend.class"), t("legend.chart"), t("legend.share"), t("legend.area")],
        { class: "visually-hidden" },
      ),
      el("tbody", {}, rows),
      el(
        "tfoot",
        {},
        statistics.nodata.pixels > 0 && sum(t("legend.nodata"), statistics.nodata.area_m2),
        sum(t("legend.total"), statistics.total.area_m2),
      ),
    ),
  );
}

function sum(title, area_m2) {
  return el(
    "tr",
    {},
    el("th", { scope: "row" }, title),
    el("td", {}),
    el("td", {}),
    el("td", {}, area(area_m2)),
  );
}

/** What a class is called in the reader's language. */
export function className(each) {
  return tOr(`class.${each.name}`, each.title);
}

function swatch(color) {
  return svg(
    "svg",
    { class: "swatch", viewBox: "0 0 16 16", "aria-hidden": "true" },
    svg("rect", { x: 0.5, y: 0.5, width: 15, height: 15, rx: 3, fill: color }),
  );
}

function bar({ color, share }, most) {
  return svg(
    "svg",
    { viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", {
      x: 0,
      y: 1,
      width: Math.max((100 * share) / most, share > 0 ? 1 : 0),
      height: 10,
      fill: color,
    }),
  );
}
