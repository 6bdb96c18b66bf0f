// The predictor's core in a memory of its own, which grows to what stands in it: blocks follow each
// other and are given back together, so there is no allocator.

import build from "../../build/predict.inline.js";
import type { Build } from "./build.ts";
import type { PredictKernels } from "./core.ts";
import { MemoryError, rethrowUnless } from "./errors.ts";

export const predictBuild: Build = build;

const PAGE = 65536;

type Exports = { heap_base(): number } & {
  [Name in keyof PredictKernels as `${Name}_f32`]: PredictKernels[Name];
};

export class PredictCore {
  readonly kernels: PredictKernels;
  private memory: WebAssembly.Memory | undefined;
  /** The first byte that is free. */
  private next: number;

  constructor(
    private readonly operation: string,
    module: WebAssembly.Module,
  ) {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const instance = new WebAssembly.Instance(module, { env: { memory } });
    const exports = instance.exports as unknown as Exports;
    this.memory = memory;
    // Addresses and sizes come back as signed numbers from 2 GiB on.
    this.next = Math.ceil((exports.heap_base() >>> 0) / 64) * 64;
    this.kernels = {
      predict: exports.predict_f32,
      predict_pack: exports.predict_pack_f32,
      predict_work_bytes: (...sizes) => exports.predict_work_bytes_f32(...sizes) >>> 0,
      predict_pack_bytes: (operation) => exports.predict_pack_bytes_f32(operation) >>> 0,
    };
  }

  buffer(): ArrayBuffer | undefined {
    return this.memory?.buffer as ArrayBuffer | undefined;
  }

  /** A block behind those that there are. What is released is the memory as a whole. */
  allocate(bytes: number): { address: number; release(): void } {
    const memory = this.memory as WebAssembly.Memory;
    const address = this.next;
    const end = address + Math.ceil(bytes / 64) * 64;
    const pages = Math.max(0, Math.ceil(end / PAGE) - memory.buffer.byteLength / PAGE);
    try {
      // The last cache line below 4 GiB stays unused, so that no address behind the block wraps to
      // 0.
      if (!(end <= 2 ** 32 - 64)) throw new RangeError("above 4 GiB");
      memory.grow(pages);
    } catch (cause) {
      rethrowUnless("RangeError", cause);
      throw Object.assign(
        new MemoryError(`${this.operation}: the host gave no memory of ${bytes} bytes`, bytes, 0),
        { cause },
      );
    }
    this.next = end;
    return {
      address,
      release: () => {
        this.memory = undefined;
      },
    };
  }
}
