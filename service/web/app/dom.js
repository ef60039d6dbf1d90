// Elements. Text enters the document as text alone: whatever a file is called, it is inert.

/** An element with attributes, listeners (on…) and children; null and false children are left out. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  apply(made, attributes);
  made.append(
    ...children.flat().filter((child) => child !== null && child !== false && child !== undefined),
  );
  return made;
}

/** The first row of a table. */
export function headings(titles, attributes = {}) {
  const cells = titles.map((title) => el("th", {}, title));
  return el("thead", attributes, el("tr", {}, cells));
}

/** The same as `el`, of SVG. */
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** A button that is disabled while what it starts goes on. */
export function action(label, work, attributes = {}) {
  const button = el("button", { type: "button", ...attributes }, label);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await work(button);
    } finally {
      button.disabled = false;
    }
  });
  return button;
}

/** A short word at the bottom of the window, also for screen readers. */
export function toast(text, kind = "") {
  const shown = el("p", { class: `toast ${kind}` }, text);
  document.getElementById("toasts").append(shown);
  setTimeout(() => shown.remove(), kind === "bad" ? 12000 : 5000);
}

/** A box with a message of what went wrong, or what to know. */
export function notice(kind, title, ...lines) {
  return el(
    "div",
    { class: `notice ${kind}`, role: kind === "bad" ? "alert" : null },
    el("strong", {}, title),
    lines.map((line) => (typeof line === "string" ? el("p", {}, line) : line)),
  );
}

function apply(made, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
}
