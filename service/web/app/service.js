// For admins: how the service is, and keys: made, shown once, revoked.

import { Problem, call } from "./api.js";
import { action, el, notice, toast } from "./dom.js";
import { t } from "./text.js";
import { bytes, moment, number } from "./units.js";

export async function service(main, _argument, ending) {
  const name = el("input", { id: "key-name", type: "text", maxlength: 200, autocomplete: "off" });
  const role = el(
    "select",
    { id: "key-role" },
    ["user", "admin"].map((each) => el("option", { value: each }, t(`keys.${each}`))),
  );
  const made = el("div", { "aria-live": "polite" });
  const list = el("ul", { class: "jobs" });
  main.append(
    el(
      "div",
      { class: "column" },
      el("h1", {}, t("nav.service")),
      await state(ending),
      el("h2", {}, t("keys.title")),
      el("p", { class: "dim" }, t("keys.lead")),
      el(
        "section",
        { class: "card" },
        el("h3", {}, t("keys.new")),
        el("label", { for: "key-name" }, t("keys.name")),
        name,
        el("label", { for: "key-role" }, t("keys.role")),
        role,
        el("p", {}),
        action(t("keys.make"), make, { class: "primary" }),
        made,
      ),
      list,
    ),
  );
  await load();

  async function make() {
    const key = await tried(() =>
      call("POST", "/keys", { json: { name: name.value, role: role.value } }),
    );
    if (!key) return;
    made.replaceChildren(notice("", t("keys.made"), el("pre", {}, key.secret)));
    name.value = "";
    await load();
  }

  async function load() {
    const told = await call("GET", "/keys", { signal: ending });
    list.replaceChildren(
      ...told.keys.map((key) =>
        el(
          "li",
          { class: "card job" },
          el(
            "div",
            { class: "grow" },
            el("strong", {}, key.name || t("keys.nameless")),
            el(
              "p",
              { class: "dim" },
              [
                `${key.prefix}…`,
                t(`keys.${key.role}`),
                moment(key.created),
                key.used && t("keys.used", { at: moment(key.used) }),
                key.expires && t("keys.expires", { at: moment(key.expires) }),
              ]
                .filter(Boolean)
                .join(" · "),
            ),
          ),
          key.revoked
            ? el("span", { class: "state failed" }, t("keys.revoked"))
            : action(
                t("keys.revoke"),
                async () => {
                  if (!window.confirm(t("keys.sure", { name: key.name || key.prefix }))) return;
                  await tried(() => call("DELETE", `/keys/${key.id}`));
                  await load();
                },
                { class: "danger", "aria-label": `${t("keys.revoke")}: ${key.name || key.prefix}` },
              ),
        ),
      ),
    );
  }

  async function tried(work) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      toast(error.message || t("problem.network"), "bad");
      return null;
    }
  }
}

/** What a user's key may use. */
function quotas({ bytes_stored: stored, jobs_waiting: waiting, requests_a_minute: requests }) {
  const limits = [
    stored !== null && t("state.quotas.bytes", { size: bytes(stored) }),
    waiting !== null && t("state.quotas.jobs", { n: number(waiting) }),
    requests !== null && t("state.quotas.requests", { n: number(requests) }),
  ].filter(Boolean);
  return limits.length ? limits.join(", ") : t("state.quotas.none");
}

async function state(ending) {
  const told = await call("GET", "/state", { signal: ending });
  const lines = [
    [t("state.version"), told.version],
    [
      t("state.disk"),
      t("state.disk.of", { free: bytes(told.disk_free_bytes), all: bytes(told.disk_bytes) }),
    ],
    [
      t("state.jobs"),
      t("state.jobs.of", { running: number(told.running), waiting: number(told.waiting) }),
    ],
    [t("state.workers"), told.workers.length ? told.workers.join(", ") : t("state.workers.none")],
    [t("state.tiles"), number(told.tiles)],
    [t("state.quotas"), quotas(told.quotas)],
  ];
  return el(
    "section",
    { class: "card" },
    el(
      "dl",
      { class: "here" },
      lines.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)]),
    ),
  );
}
