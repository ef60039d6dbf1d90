// The page's words in the reader's language: one file each in text/, English where a word lacks.

import { root } from "./api.js";

const LANGUAGE = "mfnet.language";
export const LANGUAGES = { en: "English", de: "Deutsch" };
let words = {};
let fallback = {};
export let language = "en";

/** Read the words; call before anything is shown. */
export async function loadText() {
  const wished = [
    localStorage.getItem(LANGUAGE),
    ...navigator.languages.map((each) => each.slice(0, 2)),
  ];
  language = wished.find((each) => each in LANGUAGES) || "en";
  fallback = await read("en");
  words = language === "en" ? fallback : await read(language);
  document.documentElement.lang = language;
}

/** Choose a language, and begin again in it. */
export function chooseLanguage(chosen) {
  localStorage.setItem(LANGUAGE, chosen);
  location.reload();
}

/** The words of a key, with {names} filled in. */
export function t(name, values = {}) {
  const text = words[name] ?? fallback[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (whole, each) => (each in values ? values[each] : whole));
}

/** The words of a key, or what the service calls it. */
export function tOr(name, other) {
  return words[name] ?? (language === "en" ? other : (fallback[name] ?? other));
}

/** What a job is called: by its orthophoto, as far as that is known, else by its process. */
export function nameOf({ inputs, processID }, upload) {
  // The orthophoto of a batch's pair that was refused is as it was sent: names, not an id.
  const sent = isId(inputs.ortho) ? "" : [inputs.ortho ?? []].flat().join(", ");
  return upload?.name || sent || t(`process.${processID}`);
}

/** Whether an input is the id of an upload. */
export function isId(input) {
  return typeof input === "string" && /^[0-9a-f]{32}$/.test(input);
}

async function read(name) {
  const { version } = document.documentElement.dataset;
  const response = await fetch(`${root}/page/${version}/text/${name}.json`);
  return response.json();
}
