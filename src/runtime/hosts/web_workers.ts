// Workers of browsers: from a Blob, for which nothing has to be served; else from a file, which a Content-Security-Policy
// of script-src 'self' allows and the Blob not.

import type { WorkerEvents, WorkerSource } from "../pool.ts";

/** Also what build/worker.js is. The second message is sent when all workers have answered the first. */
export const SOURCE = `onmessage = ({ data: { module, memory, thread } }) => {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  onmessage = () => {
    try {
      exports.threads_work(thread);
    } catch {
      exports.threads_fail();
    }
  };
  postMessage("ready");
};
`;

/** None where there is no global Worker: Cloudflare's and Vercel's edge. */
export function webWorkers(): WorkerSource[] {
  if (typeof Worker !== "function") return [];
  const file: WorkerSource = {
    name: "from worker.js",
    // Bundlers look for these very words. A worker that they give another name, or none, is one that fails to load.
    start: (data, events) =>
      listen(new Worker(new URL("./worker.js", import.meta.url), { type: "module" }), data, events),
  };
  return typeof URL.createObjectURL === "function" ? [fromBlob, file] : [file];
}

const fromBlob: WorkerSource = {
  name: "from a Blob",
  start(data, events) {
    const url = URL.createObjectURL(new Blob([SOURCE], { type: "text/javascript" }));
    // A worker that a policy refuses says nothing by itself.
    const refused = ({ blockedURI }: SecurityPolicyViolationEvent) => {
      if (blockedURI.startsWith("blob")) events.failed("refused by the Content-Security-Policy");
    };
    const settle = () => {
      URL.revokeObjectURL(url);
      globalThis.removeEventListener?.("securitypolicyviolation", refused);
    };
    globalThis.addEventListener?.("securitypolicyviolation", refused);
    try {
      const worker = new Worker(url, { type: "module", name: `lamella ${data.thread}` });
      return listen(worker, data, events, settle);
    } catch (error) {
      settle();
      throw error;
    }
  },
};

/** @param settle called once it is there, and again when it is ended */
function listen(worker: Worker, data: object, events: WorkerEvents, settle = () => {}) {
  worker.onmessage = () => {
    settle();
    events.ready();
  };
  worker.onerror = (event) => {
    event.preventDefault();
    events.failed(event.message || "its script was not loaded");
  };
  const terminate = () => {
    settle();
    worker.terminate();
  };
  try {
    worker.postMessage(data);
  } catch (error) {
    terminate();
    throw globalThis.crossOriginIsolated === false ? new Error(NOT_ISOLATED) : error;
  }
  return { terminate, begin: () => worker.postMessage("begin") };
}

const NOT_ISOLATED =
  "the page is not cross-origin isolated; it is when served with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp";
