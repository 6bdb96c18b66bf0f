// Workers from node:worker_threads, which Node, Deno and Bun have.

import type { WorkerSource } from "./workers.ts";

const SOURCE = `const { parentPort, workerData } = process.getBuiltinModule("node:worker_threads");
const { module, memory, thread } = workerData;
const { exports } = new WebAssembly.Instance(module, { env: { memory } });
parentPort.postMessage("ready");
try {
  exports.threads_work(thread);
} catch {
  exports.threads_fail();
}`;

/**
 * Returns no way to start workers in browsers. workerd has the module, but its constructor throws.
 */
export function nodeWorkers(): WorkerSource[] {
  const threads = globalThis.process?.getBuiltinModule?.("node:worker_threads");
  if (!threads) return [];
  return [
    {
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
          begin: () => worker.unref(), // it takes tasks already
        };
      },
    },
  ];
}

/** Returns how many threads this machine has. Every host has it in `navigator`, except Node 20. */
export function cores(): number {
  const { navigator, process } = globalThis as Partial<typeof globalThis>;
  const os = () => process?.getBuiltinModule?.("node:os");
  return navigator?.hardwareConcurrency || os()?.availableParallelism?.() || 1;
}
