// What a job may be told beside its files; made of the service's own description of the process.

import { call } from "./api.js";
import { el } from "./dom.js";
import { t, tOr } from "./text.js";

const CHOSEN = ["ortho", "height", "dtm", "aoi", "zones", "model"]; // elsewhere on the page
const USUAL = ["confidence", "polygons", "align"];

const labels = {};

/** A message of the service's in the words of the page: options by their labels. */
export function plain(message) {
  return message.replace(/inputs\.(\w+)/g, (whole, name) =>
    labels[name] ? t("options.named", { name: labels[name] }) : whole,
  );
}

export class OptionsForm {
  constructor() {
    this.controls = {};
    this.usual = el("div", { class: "options" });
    this.rare = el("div", { class: "options" });
    this.more = el(
      "details",
      {},
      el("summary", {}, t("options.rare")),
      el("p", { class: "dim" }, t("options.rare.lead")),
      this.rare,
    );
    this.element = el("div", {}, this.usual, this.more);
  }

  async load() {
    const { inputs } = await call("GET", "/processes/segment");
    for (const [name, described] of Object.entries(inputs)) {
      labels[name] = CHOSEN.includes(name)
        ? tOr(`role.${name}`, described.title)
        : tOr(`option.${name}`, described.title);
      if (CHOSEN.includes(name)) continue;
      const control = controlOf(name, described);
      this.controls[name] = control;
      (USUAL.includes(name) ? this.usual : this.rare).append(control.element);
    }
    if (this.controls.confidence) this.controls.confidence.input.checked = true;
  }

  /** What was filled in, as the service takes it. */
  values() {
    const found = {};
    for (const [name, control] of Object.entries(this.controls)) {
      const value = control.value();
      if (value !== undefined) found[name] = value;
    }
    return found;
  }

  /** Lead to an option that a message has asked for. */
  show(name) {
    this.more.open = this.more.open || !USUAL.includes(name);
    this.controls[name].element.classList.add("asked");
  }
}

function controlOf(name, { title, description, schema }) {
  const id = `option-${name}`;
  const told = { id, "aria-describedby": `${id}-more` };
  const label = tOr(`option.${name}`, title);
  const more = el("p", { class: "dim", id: `${id}-more` }, tOr(`option.${name}.more`, description));
  if (schema.type === "boolean" && schema.default === false) {
    const input = el("input", { type: "checkbox", ...told });
    const element = el(
      "div",
      { class: "option" },
      el("label", { class: "check", for: id }, input, label),
      more,
    );
    return { input, element, value: () => (input.checked ? true : undefined) };
  }
  const input = inputOf(schema, told);
  const element = el("div", { class: "option" }, el("label", { for: id }, label), input, more);
  return {
    input,
    element,
    value: () => (input.value.trim() === "" ? undefined : read(schema, input.value.trim())),
  };
}

function inputOf(schema, told) {
  if (schema.enum || schema.type === "boolean") {
    const values = schema.enum || [true, false];
    return el(
      "select",
      told,
      el("option", { value: "" }, t("options.default")),
      values.map((value) => el("option", { value }, tOr(`value.${value}`, String(value)))),
    );
  }
  const numeric = schema.type === "integer" || schema.type === "number";
  return el("input", {
    ...told,
    type: numeric ? "number" : "text",
    step: schema.type === "number" ? "any" : null,
    min: schema.minimum,
    max: schema.maximum,
    autocomplete: "off",
  });
}

/** Text as the value that the schema asks for; what it is not, the service refuses with a word. */
function read(schema, text) {
  if (schema.type === "boolean") return text === "true";
  if (schema.type === "array")
    return text
      .split(/[\s,;]+/)
      .filter(Boolean)
      .map((each) => (Number.isNaN(Number(each)) ? each : Number(each)));
  const number = Number(text.replace(",", "."));
  const textual = schema.type === "string" || schema.enum;
  return textual || Number.isNaN(number) ? text : number;
}
