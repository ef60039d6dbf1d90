// One file on its way to the service: in pieces (tus 1.0), so that it goes on where it ended, also
// after a reload, when the same file is chosen again.

import { Problem, authorization, root, signedOut } from "./api.js";

const PIECE_BYTES = 32 * 1024 * 1024; // a proxy may hold a piece back until it is whole
const BEGUN = "mfnet.begun.";
const TRIES = 20;
const PASSING = [0, 409, 429, 502, 503, 504]; // the same piece may be taken later
const ENDING = [400, 404, 410, 413, 415, 422, 460]; // the service has forgotten or refused the file
const LONGEST_PAUSE_MS = 10000;

/**
 * Send a file.
 *
 * @param {File} file what is sent
 * @param {(sent: {done: number, total: number, rate: number, left: number, again?: boolean}) => void} tell
 *   is called as it goes on: bytes, bytes a second, seconds; and whether it is being tried again
 * @returns {{done: Promise<object>, stop: () => void}} the upload as the service tells of it
 */
export function send(file, tell) {
  const sending = new Sending(file, tell);
  return { done: sending.run(), stop: () => sending.stop() };
}

/** Forget a file that was begun, here and on the service. */
export async function giveUp(file) {
  const address = localStorage.getItem(nameOf(file));
  localStorage.removeItem(nameOf(file));
  if (address) await ask("DELETE", address).catch(() => null);
}

/** How much of a file is there already; null where it was not begun. */
export async function begun(file) {
  const address = localStorage.getItem(nameOf(file));
  if (!address) return null;
  const answer = await ask("GET", address).catch(() => null);
  if (answer?.status === 204)
    return { address, offset: Number(answer.getResponseHeader("Upload-Offset")) };
  if ([404, 410].includes(answer?.status)) localStorage.removeItem(nameOf(file));
  return null;
}

class Sending {
  constructor(file, tell) {
    Object.assign(this, { file, tell, stopped: false, request: null });
    this.pace = pacer(file.size);
  }

  async run() {
    const before = await begun(this.file);
    this.address = before?.address ?? (await this.begin());
    let offset = before?.offset ?? 0;
    for (let failed = 0; ;) {
      if (this.stopped) throw new DOMException("stopped", "AbortError");
      this.tell(this.pace(offset));
      const answer = await this.piece(offset).catch((error) => error);
      if (answer instanceof DOMException) throw answer;
      if (answer.status === 204) {
        failed = 0;
        offset = Number(answer.getResponseHeader("Upload-Offset"));
        if (offset === this.file.size) return this.whole();
        continue;
      }
      const problem = answer instanceof Problem ? answer : problemOf(answer);
      if (problem.status === 401) signedOut();
      if (!PASSING.includes(problem.status) || ++failed >= TRIES) {
        if (ENDING.includes(problem.status)) localStorage.removeItem(nameOf(this.file));
        throw problem;
      }
      this.tell({ ...this.pace(offset), again: true });
      const pauseMs = Math.min(500 * 2 ** failed, LONGEST_PAUSE_MS);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      const there = await begun(this.file);
      if (!there && !localStorage.getItem(nameOf(this.file))) return this.whole(); // only the answer was lost
      offset = there?.offset ?? offset;
    }
  }

  stop() {
    this.stopped = true;
    this.request?.abort();
  }

  async begin() {
    const name = btoa(String.fromCharCode(...new TextEncoder().encode(this.file.name)));
    const answer = await ask("POST", `${root}/uploads/incoming`, {
      "Upload-Length": this.file.size,
      "Upload-Metadata": `filename ${name}`,
    });
    if (answer.status === 401) signedOut();
    if (answer.status !== 201) throw problemOf(answer);
    const address = new URL(answer.getResponseHeader("Location"), location.href).pathname;
    localStorage.setItem(nameOf(this.file), address);
    return address;
  }

  piece(offset) {
    const headers = { "Content-Type": "application/offset+octet-stream", "Upload-Offset": offset };
    const body = this.file.slice(offset, offset + PIECE_BYTES);
    return ask("PATCH", this.address, headers, body, (request) => {
      this.request = request;
      request.upload.onprogress = (event) => this.tell(this.pace(offset + event.loaded));
    });
  }

  /** The upload that the pieces have become, under the same id. */
  async whole() {
    localStorage.removeItem(nameOf(this.file));
    const answer = await ask("GET", `${root}/uploads/${this.address.split("/").at(-1)}`);
    if (answer.status !== 200) throw problemOf(answer);
    return JSON.parse(answer.responseText);
  }
}

/** A request that tells how far its body is; `Problem` where the service cannot be reached. */
function ask(method, address, headers = {}, body = null, prepare = () => {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, address);
    const all = { ...authorization(), "Tus-Resumable": "1.0.0", ...headers };
    for (const [name, value] of Object.entries(all)) request.setRequestHeader(name, value);
    request.onload = () => resolve(request);
    request.onerror = () => reject(new Problem(0, {}));
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    prepare(request);
    request.send(body);
  });
}

/** What an answer says that is none; a proxy's may be no JSON. */
function problemOf(answer) {
  try {
    return new Problem(answer.status, JSON.parse(answer.responseText));
  } catch {
    return new Problem(answer.status, {});
  }
}

/** What a browser can know a file by. */
function nameOf(file) {
  return `${BEGUN}${file.size}.${file.lastModified}.${file.name}`;
}

/** Files that were begun and are not whole: their names and sizes. */
export function unfinished() {
  return Object.keys(localStorage)
    .filter((name) => name.startsWith(BEGUN))
    .map((name) => {
      const [size, lastModified, ...rest] = name.slice(BEGUN.length).split(".");
      return { name: rest.join("."), size: Number(size), lastModified: Number(lastModified) };
    });
}

/** Bytes so far to bytes a second over the last moments, and seconds left. */
export function pacer(total) {
  let seen = [];
  return (done) => {
    const now = performance.now();
    seen = [...seen.filter(([at, before]) => now - at < 5000 && before <= done), [now, done]].slice(
      -200,
    );
    const [at, before] = seen[0];
    const rate = now > at ? (1000 * (done - before)) / (now - at) : 0;
    return { done, total, rate, left: rate > 0 ? (total - done) / rate : Infinity };
  };
}
