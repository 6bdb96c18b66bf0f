// Workers of Node.

import type { WorkerHost } from "../pool.ts";

const SOURCE = `const { parentPort, workerData } = process.getBuiltinModule("node:worker_threads");
const { module, memory, thread } = workerData;
const { exports } = new WebAssembly.Instance(module, { env: { memory } });
parentPort.postMessage("ready");
try {
  exports.threads_work(thread);
} catch {
  exports.threads_fail();
}`;

/** Null outside Node: Deno and Bun, which have its modules, have workers of their own as well. */
export function nodeWorkers(): WorkerHost | null {
  const { process } = globalThis;
  const isNode = process?.versions?.node && !process.versions.bun && !("Deno" in globalThis);
  const threads = isNode ? process.getBuiltinModule?.("node:worker_threads") : undefined;
  const os = isNode ? process.getBuiltinModule?.("node:os") : undefined;
  if (!threads || !os || typeof os.availableParallelism !== "function") return null;
  return {
    cores: os.availableParallelism(),
    start(data, events) {
      const url = new URL(`data:text/javascript,${encodeURIComponent(SOURCE)}`);
      const worker = new threads.Worker(url, {
        ...{ workerData: data, execArgv: [], env: threads.SHARE_ENV },
        name: `lamella ${data.thread}`,
      });
      worker.once("message", () => events.ready());
      worker.once("error", (error) => events.failed(error.message));
      worker.once("exit", (code) => events.failed(`it exited with code ${code}`));
      return {
        terminate: () => void worker.terminate(),
        release: () => worker.unref(),
      };
    },
  };
}
