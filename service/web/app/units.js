// Numbers as the reader's language writes them.

import { language, t } from "./text.js";

export const number = (value, digits = 0) =>
  new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);

export const percent = (share, digits = 1) =>
  new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: digits }).format(
    share,
  );

export const moment = (text) =>
  new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" }).format(
    new Date(text),
  );

export function bytes(count) {
  const step = count < 1e6 ? [1e3, "kB"] : count < 1e9 ? [1e6, "MB"] : [1e9, "GB"];
  return `${number(count / step[0], count < 1e4 ? 1 : count < 1e6 ? 0 : 1)} ${step[1]}`;
}

export function area(squareMetres) {
  if (squareMetres === null) return t("unit.unknown");
  if (squareMetres < 1e4) return `${number(squareMetres, squareMetres < 100 ? 1 : 0)} m²`;
  if (squareMetres < 1e6) return `${number(squareMetres / 1e4, 2)} ha`;
  return `${number(squareMetres / 1e6, 2)} km²`;
}

export function duration(seconds) {
  if (seconds < 60) return t("unit.seconds", { n: number(Math.max(1, Math.round(seconds))) });
  if (seconds < 3600) return t("unit.minutes", { n: number(Math.round(seconds / 60)) });
  return t("unit.hours", { n: number(seconds / 3600, 1) });
}
