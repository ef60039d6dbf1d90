// Signing in at an OpenID Connect issuer: the code flow for pages (PKCE), with the ID token as key.

import { key, root } from "./api.js";

const STARTED = "mfnet.sign-in";
const REFRESH = "mfnet.refresh";
const BEFORE_END_S = 30;
const { issuer, client } = document.documentElement.dataset;

/** Whether this service has an issuer. */
export const hasIssuer = Boolean(issuer);

/** Leave for the issuer's own page, which sends back to this one. */
export async function leaveToSignIn() {
  const started = { verifier: random(), state: random(), nonce: random(), view: location.hash };
  const { authorization_endpoint: endpoint } = await described();
  sessionStorage.setItem(STARTED, JSON.stringify(started));
  const address = new URL(endpoint);
  const asked = {
    response_type: "code",
    client_id: client,
    redirect_uri: here(),
    scope: "openid profile email",
    state: started.state,
    nonce: started.nonce,
    code_challenge: await challenge(started.verifier),
    code_challenge_method: "S256",
  };
  for (const [name, value] of Object.entries(asked)) address.searchParams.set(name, value);
  location.assign(address);
}

/** Back from the issuer: take its token as the key. Whether it failed; nothing elsewhere. */
export async function returnFromSignIn() {
  const told = new URLSearchParams(location.search);
  const started = JSON.parse(sessionStorage.getItem(STARTED) || "null");
  if (!hasIssuer || !(told.has("state") || told.has("error"))) return false;
  sessionStorage.removeItem(STARTED);
  history.replaceState(null, "", `${root}/${started?.view || ""}`);
  if (!told.has("code") || told.get("state") !== started?.state) return true;
  const asked = { grant_type: "authorization_code", code: told.get("code"), redirect_uri: here() };
  try {
    const token = await ask({ ...asked, code_verifier: started.verifier });
    return claims(token).nonce !== started.nonce && (signOutHere(), true);
  } catch {
    return true;
  }
}

/** Ask for the next token before this one ends. */
export function stayIn() {
  const refresh = sessionStorage.getItem(REFRESH);
  if (!hasIssuer || !refresh || !key.get()) return;
  const left = claims(key.get()).exp - Date.now() / 1000 - BEFORE_END_S;
  setTimeout(
    async () => {
      if (sessionStorage.getItem(REFRESH) !== refresh) return; // signed out meanwhile
      await ask({ grant_type: "refresh_token", refresh_token: refresh }).then(stayIn, () => {});
    },
    1000 * Math.min(Math.max(left, 1), 86400),
  );
}

/** Forget what the issuer gave. */
export function signOutHere() {
  sessionStorage.removeItem(REFRESH);
  key.forget();
}

async function ask(asked) {
  const { token_endpoint: endpoint } = await described();
  const body = new URLSearchParams({ ...asked, client_id: client });
  const response = await fetch(endpoint, { method: "POST", body });
  if (!response.ok) throw new Error(`the issuer answers ${response.status}`);
  const told = await response.json();
  if (!told.id_token) throw new Error("the issuer gives no ID token");
  key.set(told.id_token, false);
  if (told.refresh_token) sessionStorage.setItem(REFRESH, told.refresh_token);
  return told.id_token;
}

async function described() {
  const address = `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  return (await fetch(address)).json();
}

function here() {
  return `${location.origin}${root}/`;
}

function random() {
  return base64(crypto.getRandomValues(new Uint8Array(32)));
}

async function challenge(verifier) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  return base64(new Uint8Array(digest));
}

function base64(bytes) {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function claims(token) {
  const [, told] = token.split(".");
  return JSON.parse(atob(told.replaceAll("-", "+").replaceAll("_", "/")));
}
