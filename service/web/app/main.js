// The page: whoever has a key sees one of the views that the address names.

import { Problem, key, keyNeeded, root } from "./api.js";
import { el, notice, toast } from "./dom.js";
import { files } from "./files.js";
import { job } from "./job.js";
import { jobs } from "./jobs.js";
import { models } from "./models.js";
import { newMap } from "./new_map.js";
import { returnFromSignIn, stayIn } from "./openid.js";
import { service } from "./service.js";
import { session } from "./session.js";
import { signIn } from "./sign_in.js";
import { LANGUAGES, chooseLanguage, language, loadText, t } from "./text.js";

const main = document.getElementById("main");
let leave = () => {};
let failed = false; // an issuer did not sign in

/** Each view gets its element and a signal that ends with it. */
const VIEWS = { new: newMap, jobs, job, files, models, service };

function show() {
  leave();
  const ending = new AbortController();
  leave = () => ending.abort();
  const [name, argument] = location.hash.slice(1).split("=");
  const entered = key.get() || !keyNeeded;
  header(entered ? name || "new" : "");
  if (!entered) {
    main.replaceChildren(signIn(show, { failed }));
    failed = false;
    return undefined;
  }
  const view = VIEWS[name] || newMap;
  main.replaceChildren();
  document.title = `${t(`nav.${name in VIEWS ? name : "new"}`)} · MFNet`;
  return view(main, argument, ending.signal).catch(trouble);
}

/** A view that was left, and a key that is not valid any more. */
function isForeseen(error) {
  return error?.name === "AbortError" || error?.status === 401;
}

/** What a view did not foresee. */
function trouble(error) {
  if (isForeseen(error)) return;
  if (!(error instanceof Problem)) throw error;
  main.replaceChildren(
    error.status === 0
      ? notice("bad", t("problem.network"), t("problem.network.mend"))
      : notice("bad", t("problem.ours"), error.message),
  );
}

function header(current) {
  const link = (name) =>
    el(
      "a",
      { href: `#${name}`, "aria-current": current === name ? "page" : null },
      t(`nav.${name}`),
    );
  const languages = el(
    "select",
    {
      "aria-label": t("nav.language"),
      onchange: (event) => chooseLanguage(event.target.value),
    },
    Object.entries(LANGUAGES).map(([code, name]) =>
      el("option", { value: code, lang: code, selected: code === language }, name),
    ),
  );
  document.getElementById("skip").textContent = t("nav.skip");
  document.getElementById("header").replaceChildren(
    el(
      "a",
      { class: "brand", href: "#new" },
      el("img", {
        src: `${root}/page/${document.documentElement.dataset.version}/icon.svg`,
        alt: "",
        width: 28,
        height: 28,
      }),
      "MFNet",
    ),
    current
      ? el(
          "nav",
          { "aria-label": t("nav.label") },
          link("new"),
          link("jobs"),
          link("files"),
          link("models"),
        )
      : el("span", { class: "grow" }),
    el(
      "div",
      { class: "tools" },
      languages,
      key.get()
        ? el("button", { type: "button", class: "quiet", onclick: signOut }, t("nav.signout"))
        : null,
    ),
  );
  if (current) forAdmins(link("service"));
}

async function forAdmins(link) {
  const { role } = await session().catch(() => ({}));
  const nav = document.querySelector("nav");
  if (role === "admin" && nav && !nav.querySelector('[href="#service"]')) nav.append(link);
}

function signOut() {
  key.forget();
  show();
}

window.addEventListener("hashchange", () => {
  if (location.hash === "#main") return;
  show();
  window.scrollTo(0, 0);
  main.focus({ preventScroll: true }); // a screen reader goes on in the new view
});
window.addEventListener("signed-out", () => {
  if (!key.get()) return;
  key.forget();
  if (!keyNeeded) return show();
  leave();
  header("");
  main.replaceChildren(signIn(show, { wasIn: true }));
});
// What a click has started may end so, too.
window.addEventListener("unhandledrejection", (event) => {
  const { reason } = event;
  if (!isForeseen(reason) && !(reason instanceof Problem)) return;
  event.preventDefault();
  if (reason instanceof Problem && !isForeseen(reason)) {
    toast(reason.message || t("problem.network"), "bad");
  }
});
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

await loadText();
failed = await returnFromSignIn();
stayIn();
show();
