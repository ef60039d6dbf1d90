// Requests to the service, each with the key; a key that is not valid any more ends the session.

const KEY = "mfnet.key";
const RENEWAL = "mfnet.renewal"; // of a key that an issuer renews
export const root = document.documentElement.dataset.root;
/** Whether the service asks for a key. */
export const keyNeeded = document.documentElement.dataset.keys !== "no";

/** An error of the service's (RFC 9457), or one of the way to it. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || "");
    this.status = status;
    this.code = body.code || "network";
    this.params = body.params || {};
    this.requestId = body.request_id || null;
  }
}

export const key = {
  get: () => sessionStorage.getItem(KEY) || localStorage.getItem(KEY),
  set(secret, remember) {
    key.forget();
    (remember ? localStorage : sessionStorage).setItem(KEY, secret);
  },
  /** A key that ends soon, with what its successor is had by. */
  setRenewable(secret, renewal) {
    key.set(secret, false);
    if (renewal) sessionStorage.setItem(RENEWAL, renewal);
  },
  renewal: () => sessionStorage.getItem(RENEWAL),
  forget() {
    sessionStorage.removeItem(RENEWAL);
    sessionStorage.removeItem(KEY);
    localStorage.removeItem(KEY);
  },
};

/** The header with the key, where there is one. */
export function authorization() {
  return key.get() ? { Authorization: `Bearer ${key.get()}` } : {};
}

/** What the service answers, as JSON. */
export async function call(method, path, { json, headers = {}, signal, trying = false } = {}) {
  const response = await request(method, path, {
    headers: json === undefined ? headers : { ...headers, "Content-Type": "application/json" },
    body: json === undefined ? undefined : JSON.stringify(json),
    signal,
    trying,
  });
  return response.status === 204 ? null : response.json();
}

/** A file of the service's. */
export async function blob(path, signal) {
  return (await request("GET", path, { signal })).blob();
}

/** A small text as an upload; what the service says of it. */
export async function putText(name, text) {
  const path = `/uploads/${encodeURIComponent(name)}`;
  return (await request("PUT", path, { body: text })).json();
}

/** Tell the page that the key is not valid. */
export function signedOut() {
  window.dispatchEvent(new Event("signed-out"));
}

/** The path below the service's root, of an address that the service gave. */
export function pathOf(address) {
  return new URL(address, location.href).pathname.slice(root.length);
}

async function request(method, path, options) {
  let response;
  try {
    response = await fetch(root + path, {
      ...options,
      method,
      cache: "no-cache",
      headers: { ...authorization(), ...options.headers },
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, {});
  }
  if (response.ok) return response;
  const problem = new Problem(response.status, await response.json().catch(() => ({})));
  if (response.status === 401 && !options.trying) signedOut();
  throw problem;
}
