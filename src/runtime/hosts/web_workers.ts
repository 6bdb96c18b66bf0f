// Workers of browsers, Deno and Bun.

import type { WorkerHost } from "../pool.ts";

const SOURCE = `onmessage = ({ data: { module, memory, thread } }) => {
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  postMessage("ready");
  try {
    exports.threads_work(thread);
  } catch {
    exports.threads_fail();
  }
};`;

/** Null where there is no global Worker, or none that takes a script of its own: Cloudflare's. */
export function webWorkers(): WorkerHost | null {
  const { Worker, Blob, navigator } = globalThis as Partial<typeof globalThis>;
  if (!Worker || !Blob || typeof URL.createObjectURL !== "function") return null;
  return {
    cores: navigator?.hardwareConcurrency ?? 1,
    start(data, events) {
      const url = URL.createObjectURL(new Blob([SOURCE], { type: "text/javascript" }));
      const worker = new Worker(url, { type: "module", name: `lamella ${data.thread}` });
      worker.onmessage = () => {
        URL.revokeObjectURL(url);
        events.ready();
      };
      worker.onerror = (event) => {
        event.preventDefault();
        events.failed(event.message || "its script was refused");
      };
      worker.postMessage(data);
      return {
        terminate: () => worker.terminate(),
        // Deno's and Bun's, which keep their process alive.
        release: () => (worker as { unref?: () => void }).unref?.(),
      };
    },
  };
}
