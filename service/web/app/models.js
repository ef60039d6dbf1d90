// The models of the service: which is in use, how good each version is; for admins what changes it.

import { Problem, call } from "./api.js";
import { action, el, headings, notice, toast } from "./dom.js";
import { session } from "./session.js";
import { className } from "./legend.js";
import { t } from "./text.js";
import { moment, percent } from "./units.js";

export async function models(main, _argument, ending) {
  const list = el("div", {});
  const { role } = await session();
  main.append(
    el(
      "div",
      { class: "column" },
      el("h1", {}, t("nav.models")),
      el("p", { class: "lead" }, t("models.lead")),
      list,
    ),
  );
  await load();

  async function load() {
    const { models: all } = await call("GET", "/models", { signal: ending });
    const names = [...new Set(all.map((model) => model.name))];
    list.replaceChildren(
      ...(await Promise.all(
        names.map((name) =>
          card(
            name,
            all.filter((model) => model.name === name),
          ),
        ),
      )),
    );
  }

  async function card(name, versions) {
    const details = await Promise.all(
      versions.map(({ version }) =>
        call("GET", `/models/${name}/versions/${version}`, { signal: ending }),
      ),
    );
    const active = details.find((each) => each.state === "active");
    return el(
      "section",
      { class: "card" },
      el("h2", {}, name),
      el(
        "div",
        { class: "scroll", tabindex: 0, role: "region", "aria-label": name },
        el(
          "table",
          { class: "figures" },
          headings([
            t("models.version"),
            t("models.state"),
            t("models.miou"),
            t("models.oa"),
            t("models.made"),
            "",
          ]),
          el(
            "tbody",
            {},
            details.map((each) => row(each, active)),
          ),
        ),
      ),
      active ? figures(active) : null,
      role === "admin" ? adminOf(name, active, details) : null,
    );
  }

  function row(model, active) {
    const { metrics = {} } = model.config;
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, String(model.version)),
      el(
        "td",
        {},
        el(
          "span",
          { class: `state ${model.state === "active" ? "successful" : ""}` },
          t(`model.state.${model.state}`),
        ),
      ),
      el("td", {}, metrics.miou === undefined ? "–" : percent(metrics.miou)),
      el("td", {}, metrics.oa === undefined ? "–" : percent(metrics.oa)),
      el("td", {}, moment(model.created)),
      el(
        "td",
        {},
        role === "admin" && model.state !== "active"
          ? action(
              t("models.promote"),
              () => change(`/models/${model.name}/versions/${model.version}/promote`, active),
              { "aria-label": `${t("models.promote")}: ${model.name}@${model.version}` },
            )
          : null,
      ),
    );
  }

  function adminOf(name, active, versions) {
    const events = el("ul", {});
    const history = el(
      "details",
      {
        ontoggle: async () => {
          if (!history.open) return;
          const told = await call("GET", `/models/${name}/history`, { signal: ending });
          events.replaceChildren(
            ...told.events.map((each) =>
              el(
                "li",
                {},
                `${moment(each.at)}: ${name}@${each.version} ${each.event}, ${each.who}${each.why ? `: ${each.why}` : ""}`,
              ),
            ),
          );
        },
      },
      el("summary", {}, t("models.history")),
      events,
    );
    const minutes = el("input", { type: "number", min: 1, id: `minutes-${name}`, value: "60" });
    const promote = el("input", { type: "checkbox", id: `promote-${name}` });
    const retrain =
      active?.config.kind !== "mfnet"
        ? null
        : el(
            "details",
            {},
            el("summary", {}, t("models.retrain")),
            el("p", { class: "dim" }, t("models.retrain.lead")),
            el("label", { for: `minutes-${name}` }, t("models.minutes")),
            minutes,
            el(
              "label",
              { class: "check", for: `promote-${name}` },
              promote,
              t("models.retrain.promote"),
            ),
            action(
              t("models.retrain.go"),
              async () => {
                try {
                  const inputs = {
                    model: name,
                    tiles: "all",
                    minutes: Number(minutes.value),
                    promote: promote.checked,
                  };
                  const job = await call("POST", "/processes/retrain/execution", {
                    json: { inputs },
                  });
                  location.hash = `job=${job.jobID}`;
                } catch (error) {
                  tell(error);
                }
              },
              { class: "primary" },
            ),
          );
    const replaced = versions.some((each) => each.state === "retired");
    return el(
      "div",
      {},
      replaced &&
        action(t("models.rollback"), () => change(`/models/${name}/rollback`, active), {
          "aria-label": `${t("models.rollback")}: ${name}`,
        }),
      history,
      retrain,
    );
  }

  /** Promote or roll back, once the caller has said why. */
  async function change(path, active) {
    const why = window.prompt(t("models.why"), "");
    if (why === null) return;
    try {
      const json = { why, ...(active ? { replaces: active.version } : {}) };
      const model = await call("POST", path, { json });
      toast(t("models.changed", { model: `${model.name}@${model.version}` }));
      await load();
    } catch (error) {
      if (
        error.code === "model.refused" &&
        window.confirm(`${error.message}\n\n${t("models.force")}`)
      ) {
        const model = await call("POST", path, { json: { why, force: true } }).catch(tell);
        if (model) await load();
        return;
      }
      tell(error);
    }
  }

  function tell(error) {
    if (!(error instanceof Problem)) throw error;
    toast(error.message || t("problem.network"), "bad");
  }
}

/** The figures of a version, class by class. */
function figures({ config }) {
  const told = config.metrics?.classes;
  if (!told) return el("p", { class: "dim" }, t("models.unmeasured"));
  const classes = config.classes.classes.filter((each) => each.name in told);
  return el(
    "details",
    {},
    el("summary", {}, t("models.figures")),
    el(
      "table",
      { class: "figures" },
      headings([t("legend.class"), "IoU", "F1"]),
      el(
        "tbody",
        {},
        classes.map((each) =>
          el(
            "tr",
            {},
            el("th", { scope: "row" }, className(each)),
            [told[each.name].iou, told[each.name].f1].map((value) =>
              el("td", {}, value === null || value === undefined ? "–" : percent(value)),
            ),
          ),
        ),
      ),
    ),
  );
}
