// The predictor's core in a memory of its own, which is made as large as what stands in it: there
// is nothing to divide, so there is no allocator.

import build from "../../build/predict.inline.js";
import type { Build } from "./build.ts";
import type { Kernels } from "./core.ts";
import { MemoryError, rethrowUnless } from "./errors.ts";

export const predictBuild: Build = build;

const PAGE = 65536;

interface Exports {
  heap_base(): number;
  predict_f32: Kernels["predict"];
  predict_pack_f32: Kernels["predict_pack"];
  predict_work_bytes_f32: Kernels["predict_work_bytes"];
}

export class PredictCore {
  readonly kernels: Pick<Kernels, "predict" | "predict_pack" | "predict_work_bytes">;
  private memory: WebAssembly.Memory | undefined;
  private readonly start: number;

  constructor(
    private readonly operation: string,
    module: WebAssembly.Module,
  ) {
    const memory = new WebAssembly.Memory({ initial: 1 });
    const instance = new WebAssembly.Instance(module, { env: { memory } });
    const exports = instance.exports as unknown as Exports;
    this.memory = memory;
    // Addresses and sizes come back as signed numbers from 2 GiB on.
    this.start = Math.ceil((exports.heap_base() >>> 0) / 64) * 64;
    this.kernels = {
      predict: exports.predict_f32,
      predict_pack: exports.predict_pack_f32,
      predict_work_bytes: (...sizes) => exports.predict_work_bytes_f32(...sizes) >>> 0,
    };
  }

  buffer(): ArrayBuffer | undefined {
    return this.memory?.buffer as ArrayBuffer | undefined;
  }

  /** The one block that there is. */
  allocate(bytes: number): { address: number; release(): void } {
    const memory = this.memory as WebAssembly.Memory;
    const pages = Math.ceil((this.start + bytes) / PAGE) - memory.buffer.byteLength / PAGE;
    try {
      // The last cache line below 4 GiB stays unused, so that no address behind the block wraps to
      // 0.
      if (!(this.start + bytes <= 2 ** 32 - 64)) throw new RangeError("above 4 GiB");
      memory.grow(pages);
    } catch (cause) {
      rethrowUnless("RangeError", cause);
      throw Object.assign(
        new MemoryError(`${this.operation}: the host gave no memory of ${bytes} bytes`, bytes, 0),
        { cause },
      );
    }
    return {
      address: this.start,
      release: () => {
        this.memory = undefined;
      },
    };
  }
}
