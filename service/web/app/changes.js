// What a retrained model would change on maps that users had made.

import { Problem, blob, call, pathOf } from "./api.js";
import { action, el, notice } from "./dom.js";
import { MapView } from "./map_view.js";
import { t } from "./text.js";
import { percent } from "./units.js";

/** A section on the maps that a retraining has compared; nothing where there are none. */
export async function changes(path, results, ending) {
  if (!("changes.json" in results)) return null;
  const told = await (await blob(`${path}/results/changes.json`, ending)).text();
  const maps = Object.entries(JSON.parse(told).jobs);
  if (maps.length === 0) return null;
  const place = el("div", {});
  const rows = maps.map(([job, found]) => {
    const picture = `changes-${job}.png`;
    const said = found.left_out ?? t("changes.share", { share: percent(found.share) });
    return el(
      "li",
      { class: "row" },
      el("a", { href: `#job=${job}` }, t("changes.map")),
      el("span", { class: "grow" }, said),
      picture in results
        ? action(t("changes.show"), () => show(place, path, job, picture, ending), {
            class: "quiet",
          })
        : null,
    );
  });
  return el(
    "section",
    {},
    el("h2", {}, t("changes.title")),
    el("p", { class: "dim" }, t("changes.lead")),
    el("ul", { class: "polygons" }, rows),
    place,
  );
}

/** The pixels that would get another class, in its colour, over the orthophoto. */
async function show(place, path, job, picture, ending) {
  const holder = el("div", { class: "map preview" }, el("p", { class: "wait" }, t("job.drawing")));
  place.replaceChildren(holder);
  try {
    const told = await call("GET", `/jobs/${job}/pictures`, { signal: ending });
    const files = await Promise.all([
      blob(pathOf(told.pictures.ortho), ending),
      blob(`${path}/results/${picture}`, ending),
    ]);
    const [ortho, classes] = files.map((file) => URL.createObjectURL(file));
    ending.addEventListener("abort", () => [ortho, classes].forEach((u) => URL.revokeObjectURL(u)));
    if (holder.isConnected) new MapView(holder, told, { ortho, classes }, null, null);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Problem)) throw error;
    place.replaceChildren(notice("warn", t("job.undrawn"), error.message));
  }
}
