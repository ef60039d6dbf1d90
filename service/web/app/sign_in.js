// Who has no key that is valid is asked for one.

import { call, key } from "./api.js";
import { el, notice } from "./dom.js";
import { hasIssuer, leaveToSignIn } from "./openid.js";
import { t } from "./text.js";

/**
 * The view; `entered` is called once the service has taken the key.
 * `wasIn` and `failed`: a key has ended; the issuer did not sign in.
 */
export function signIn(entered, { wasIn = false, failed = false } = {}) {
  const secret = el("input", {
    id: "key",
    type: "password",
    autocomplete: "current-password",
    required: true,
    spellcheck: "false",
  });
  const remember = el("input", { id: "remember", type: "checkbox" });
  const button = el("button", { class: "primary", type: "submit" }, t("signin.enter"));
  const problem = el("div", { "aria-live": "assertive" });
  const form = el(
    "form",
    { class: "card narrow", onsubmit: submit },
    el("h1", {}, t("signin.title")),
    el("p", { class: "lead" }, t("signin.lead")),
    wasIn ? notice("warn", t("signin.expired")) : null,
    failed ? notice("bad", t("signin.refused"), t("signin.refused.mend")) : null,
    hasIssuer ? byIssuer() : null,
    // Password managers file the key under a name.
    el("input", {
      type: "text",
      autocomplete: "username",
      value: "MFNet",
      hidden: true,
      readonly: true,
    }),
    el("label", { for: "key" }, t("signin.key")),
    secret,
    el("label", { class: "check", for: "remember" }, remember, t("signin.remember")),
    problem,
    button,
    el(
      "details",
      {},
      el("summary", {}, t("signin.nokey")),
      el("p", {}, t("signin.ask")),
      el("p", {}, t("signin.own")),
      el("pre", {}, "mfnet keys create --role user --name NAME"),
    ),
  );
  return form;

  function byIssuer() {
    const leave = el(
      "button",
      { class: "primary", type: "button", onclick: () => leaveToSignIn().catch(away) },
      t("signin.issuer"),
    );
    return el("div", {}, leave, el("p", {}, t("signin.or")));
  }

  function away() {
    problem.replaceChildren(notice("bad", t("signin.refused"), t("problem.network.mend")));
  }

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    problem.replaceChildren();
    key.set(secret.value.trim(), remember.checked);
    try {
      await call("GET", "/keys/mine", { trying: true });
      entered();
    } catch (error) {
      key.forget();
      problem.replaceChildren(
        error.status === 401
          ? notice("bad", t("signin.wrong"), t("signin.wrong.mend"))
          : notice("bad", t("problem.network"), t("problem.network.mend")),
      );
      secret.focus();
    } finally {
      button.disabled = false;
    }
  }
}
