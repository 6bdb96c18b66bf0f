// Workers in browsers. They are started from a Blob, for which no file has to be served, or else
// from a file: a Content-Security-Policy of script-src 'self' allows a file, but not a Blob.

import type { HostWorker, WorkerData, WorkerEvents, WorkerSource } from "./workers.ts";

/**
 * The source of a worker, which build/worker.js has too. A second message is sent when all workers
 * have answered the first.
 */
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

/**
 * Returns no way to start workers in a host without a global Worker, as Cloudflare's and Vercel's
 * edge are. If a Blob has no URL there, the first way throws.
 */
export function webWorkers(): WorkerSource[] {
  return typeof Worker === "function" ? [fromBlob, fromFile] : [];
}

const fromFile: WorkerSource = {
  start(data, events) {
    // Bundlers look for exactly this expression; they put the file beside their output, or leave it
    // out.
    const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    return listen("worker.js", worker, data, events);
  },
};

const fromBlob: WorkerSource = {
  start(data, events) {
    const url = URL.createObjectURL(new Blob([SOURCE], { type: "text/javascript" }));
    // A worker that a policy refuses sends no event itself.
    const refused = ({ blockedURI }: SecurityPolicyViolationEvent) => {
      if (blockedURI.startsWith("blob"))
        events.failed("the Content-Security-Policy refuses workers from a Blob");
    };
    const settle = () => {
      URL.revokeObjectURL(url);
      globalThis.removeEventListener?.("securitypolicyviolation", refused);
    };
    globalThis.addEventListener?.("securitypolicyviolation", refused);
    try {
      const worker = new Worker(url, { type: "module", name: `lamella ${data.thread}` });
      return listen("a Blob", worker, data, events, settle);
    } catch (error) {
      settle();
      throw error;
    }
  },
};

/** @param settle is called when the worker has started or is ended */
function listen(
  script: string,
  worker: Worker,
  data: WorkerData,
  events: WorkerEvents,
  settle = () => {},
): HostWorker {
  worker.onmessage = () => {
    settle();
    events.ready();
  };
  worker.onerror = (event) => {
    event.preventDefault();
    events.failed(event.message || `${script} was not loaded as a worker`);
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
