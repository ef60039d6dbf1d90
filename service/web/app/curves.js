// How a retraining goes: loss and mean IoU against steps, drawn again as they grow.

import { el, svg } from "./dom.js";
import { t } from "./text.js";
import { number, percent } from "./units.js";

const WIDTH = 320;
const HEIGHT = 120;

/** Figures of the curves that have points; none before the first. */
export function curves({ loss, miou }) {
  return [
    ["loss", loss, (value) => number(value, 3)],
    ["miou", miou, (value) => percent(value)],
  ]
    .filter(([, points]) => points.length > 0)
    .map(([name, points, tell]) => figure(name, points, tell));
}

function figure(name, points, tell) {
  const values = points.map(([, value]) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const last = points.at(-1);
  const [first, end] = [points[0][0], last[0]];
  const x = (step) => (WIDTH * (step - first)) / (end - first || 1);
  const y = (value) => HEIGHT - (HEIGHT * (value - low)) / (high - low || 1);
  const at = points.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`);
  const told = t("curves.now", { step: number(end), value: tell(last[1]) });
  const title = t(`curves.${name}`);
  return el(
    "figure",
    { class: "curve" },
    el("figcaption", {}, el("strong", {}, title), " ", told),
    svg(
      "svg",
      {
        viewBox: `-4 -6 ${WIDTH + 8} ${HEIGHT + 12}`,
        role: "img",
        "aria-label": `${title}: ${told}; ${t("curves.range", { low: tell(low), high: tell(high) })}`,
      },
      svg("polyline", { points: at.join(" "), class: "line" }),
      svg("circle", { cx: x(end), cy: y(last[1]), r: 3.5, class: "newest" }),
    ),
    el("p", { class: "dim range" }, t("curves.range", { low: tell(low), high: tell(high) })),
  );
}
