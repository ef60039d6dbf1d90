// Signing in at an OpenID Connect issuer: the code flow for pages (PKCE), with the ID token as key.

import { key, root } from "./api.js";

const STARTED = "mfnet.sign-in";
const SOONEST_S = 30;
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
    const told = await ask({ ...asked, code_verifier: started.verifier });
    if (claims(told.id_token).nonce !== started.nonce) return true;
    key.setRenewable(told.id_token, told.refresh_token);
    return false;
  } catch {
    return true;
  }
}

/** Ask for the next token before this one ends; `isNew`: it has just come. */
export function stayIn(isNew = false) {
  const renewal = key.renewal();
  if (!hasIssuer || !renewal) return;
  const { exp, iat } = claims(key.get());
  // The issuer's clock may be another than this computer's: only what is new is known to last.
  const most = Math.max(0.8 * (exp - iat), SOONEST_S);
  const wait = isNew ? most : Math.min(Math.max(exp - Date.now() / 1000 - SOONEST_S, 1), most);
  setTimeout(() => renew(renewal), 1000 * Math.min(wait, 86400));
}

async function renew(renewal) {
  if (key.renewal() !== renewal) return; // signed out meanwhile, or in as somebody else
  const asked = { grant_type: "refresh_token", refresh_token: renewal };
  const told = await ask(asked).catch(() => null);
  if (!told || key.renewal() !== renewal) return;
  key.setRenewable(told.id_token, told.refresh_token || renewal);
  stayIn(true);
}

async function ask(asked) {
  const { token_endpoint: endpoint } = await described();
  const body = new URLSearchParams({ ...asked, client_id: client });
  const response = await fetch(endpoint, { method: "POST", body });
  if (!response.ok) throw new Error(`the issuer answers ${response.status}`);
  const told = await response.json();
  if (!told.id_token) throw new Error("the issuer gives no ID token");
  return told;
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
