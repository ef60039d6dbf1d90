// Where the chosen rasters lie, one over the other: what fits together is seen at a glance.

import { el, svg } from "./dom.js";
import { t } from "./text.js";
import { area } from "./units.js";

/** Nothing, or a drawing of the rasters' outlines with a word on their overlap. */
export function footprint(chosen) {
  const placed = Object.entries(chosen)
    .filter(([, upload]) => upload.report.raster?.transform)
    .map(([role, { report }]) => ({
      role,
      crs: report.raster.crs,
      corners: corners(report.raster),
    }));
  const first = placed[0];
  const same = placed.filter(({ crs }) => !crs || !first.crs || crs === first.crs);
  if (same.length < 2) return [];
  const xs = same.flatMap((each) => each.corners.map(([x]) => x));
  const ys = same.flatMap((each) => each.corners.map(([, y]) => y));
  const [left, right, bottom, top] = [
    Math.min(...xs),
    Math.max(...xs),
    Math.min(...ys),
    Math.max(...ys),
  ];
  const side = Math.max(right - left, top - bottom) || 1;
  const at = ([x, y]) => `${(100 * (x - left)) / side},${(100 * (top - y)) / side}`;
  const drawing = svg(
    "svg",
    {
      viewBox: `-3 -3 ${(100 * (right - left)) / side + 6} ${(100 * (top - bottom)) / side + 6}`,
      class: "footprint",
      role: "img",
      "aria-label": t("place.drawing"),
    },
    ...same.map((each) =>
      svg("polygon", { points: each.corners.map(at).join(" "), class: `outline ${each.role}` }),
    ),
  );
  return [
    el(
      "figure",
      { class: "place" },
      drawing,
      el(
        "figcaption",
        {},
        same.map((each) =>
          el(
            "span",
            { class: `key ${each.role}` },
            `${t(`role.${each.role}`)} (${area(size(each.corners))})`,
          ),
        ),
        apart(same) ? el("strong", { class: "bad" }, t("place.apart")) : null,
      ),
    ),
  ];
}

function corners({ transform: [a, b, c, d, e, f], width, height }) {
  return [
    [0, 0],
    [width, 0],
    [width, height],
    [0, height],
  ].map(([x, y]) => [a * x + b * y + c, d * x + e * y + f]);
}

function apart(placed) {
  const box = ({ corners: points }) => [
    Math.min(...points.map(([x]) => x)),
    Math.min(...points.map(([, y]) => y)),
    Math.max(...points.map(([x]) => x)),
    Math.max(...points.map(([, y]) => y)),
  ];
  const [a, b] = placed.map(box);
  return a[2] < b[0] || b[2] < a[0] || a[3] < b[1] || b[3] < a[1];
}

function size(points) {
  const [[x0, y0], [x1, y1], , [x3, y3]] = points;
  return Math.abs((x1 - x0) * (y3 - y0) - (x3 - x0) * (y1 - y0));
}
