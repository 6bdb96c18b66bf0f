// Kernels called raw: a core on a memory of its own, operands at chosen addresses with guard bytes
// around them.
//
//   const core = openCore("release");
//   const x = core.input(Float32Array.of(-1, 2, 3));
//   const out = core.output(Float32Array, 3, { offset: 4 });
//   core.exports.relu_forward_f32(out.address, x.address, 3);
//   core.checkGuards();
//   expect(out.values()).toEqual(Float32Array.of(0, 2, 3));

import { existsSync, readFileSync } from "node:fs";
import { instantiateSync } from "@assemblyscript/loader";
import type { instantiate } from "../../build/core.js";

export type Exports = Omit<Awaited<ReturnType<typeof instantiate>>, "memory">;

/** What test/support/entry.ts adds to the exports. */
export interface InnerExports {
  exp_f32(out: number, x: number, n: number): void;
  exp_f64(out: number, x: number, n: number): void;
  log_f64(out: number, x: number, n: number): void;
  philox4x32x4(
    out: number,
    keyLow: number,
    keyHigh: number,
    counterLow: number,
    counterHigh: number,
  ): void;
  gemm_f32(...args: number[]): void;
  gemm_f64(...args: number[]): void;
  gemm_work_bytes_f32(M: number, N: number, K: number, csa: number): number;
  gemm_work_bytes_f64(M: number, N: number, K: number, csa: number): number;
}

export type Floats = Float32Array | Float64Array;
export type Values = Floats | Int32Array | Uint32Array | Uint8Array;
type ValuesConstructor<A extends Values> = {
  new (buffer: ArrayBuffer, address: number, length: number): A;
  readonly BYTES_PER_ELEMENT: number;
};

export interface Place {
  /** In messages; by default the kind, the number of its placement and its type. */
  name?: string;
  /** Bytes beyond a multiple of 64, to try addresses of less alignment; default 0. */
  offset?: number;
  /** Ends with the memory's last byte, so that an access beyond it traps; one buffer per core. */
  last?: boolean;
}

export interface Buffer<A extends Values> {
  readonly address: number;
  /** A copy of what is there now. */
  values(): A;
  /** Writes over what is there. */
  set(values: A): void;
}

interface FloatsConstructor extends ValuesConstructor<Floats> {
  of(...values: number[]): Floats;
  from(source: ArrayLike<number>, map?: (value: number, index: number) => number): Floats;
}

export interface DType {
  readonly dtype: "float32" | "float64";
  readonly suffix: "f32" | "f64";
  readonly array: FloatsConstructor;
  readonly bytes: number;
  /** The distance from 1 to the next number. */
  readonly epsilon: number;
}

/** For tests that run on both. */
export const dtypes: readonly DType[] = [
  { dtype: "float32", suffix: "f32", array: Float32Array, bytes: 4, epsilon: 2 ** -23 },
  { dtype: "float64", suffix: "f64", array: Float64Array, bytes: 8, epsilon: 2 ** -52 },
];

/** Uniform on [0, 1), the same in every run: mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const GUARD_BYTES = 64;
const GUARD = 0xa5;
const ALIGNMENT = 64;
const PAGE = 65536;

interface Placed {
  name: string;
  address: number;
  bytes: number;
  /** What must still be there, for an input. */
  original: Uint8Array | null;
}

export class TestCore<E = Exports> {
  readonly exports: E;
  private readonly memory: WebAssembly.Memory;
  private readonly start: number;
  private top: number;
  private bottom: number;
  private placed: Placed[] = [];

  constructor(module: WebAssembly.Module, memoryBytes: number) {
    this.memory = new WebAssembly.Memory({ initial: Math.ceil(memoryBytes / PAGE) });
    // By AssemblyScript's own loader, so that the cores stay what it can load.
    const { instance } = instantiateSync(module, { env: { memory: this.memory } });
    this.exports = instance.exports as E;
    this.start = (instance.exports as unknown as Exports).heap_base();
    this.bottom = this.start;
    this.top = this.memory.buffer.byteLength;
  }

  /** An operand that the kernel reads; checkGuards() also sees that it did not change. */
  input<A extends Values>(values: A, place: Place = {}): Buffer<A> {
    const buffer = this.inout(values, { name: this.nameOf("input", values), ...place });
    this.placed.at(-1)!.original = new Uint8Array(toBytes(values));
    return buffer;
  }

  /** A buffer with values that the kernel updates. */
  inout<A extends Values>(values: A, place: Place = {}): Buffer<A> {
    const type = values.constructor as unknown as ValuesConstructor<A>;
    const name = this.nameOf("inout", values);
    const buffer = this.place(type, values.length, { name, ...place });
    new Uint8Array(this.memory.buffer).set(toBytes(values), buffer.address);
    return buffer;
  }

  /** n values that the kernel writes. They start as NaN (−1 as integers), so that a gap shows. */
  output<A extends Values>(type: ValuesConstructor<A>, n: number, place: Place = {}): Buffer<A> {
    const name = `output ${this.placed.length} (${(type as unknown as { name: string }).name}, ${n})`;
    return this.place(type, n, { name, ...place });
  }

  /** A workspace of exactly so many bytes; it starts as NaN too. */
  work(bytes: number, place: Place = {}): Buffer<Uint8Array> {
    return this.output(Uint8Array, bytes, { name: `work (${bytes} bytes)`, ...place });
  }

  /** Throws if a byte around a buffer, or of an input, changed. */
  checkGuards(): void {
    const bytes = new Uint8Array(this.memory.buffer);
    for (const { name, address, bytes: length, original } of this.placed) {
      const end = address + length;
      for (let i = 0; i < GUARD_BYTES; i++) {
        const before = address - 1 - i;
        if (bytes[before] !== GUARD) throw new Error(`${name}: wrote ${i + 1} bytes before it`);
        const after = end + i;
        if (after < bytes.length && bytes[after] !== GUARD) {
          throw new Error(`${name}: wrote ${i + 1} bytes after its ${length}`);
        }
      }
      // Bytes are compared as a whole before one by one, which takes most of a test's time.
      if (!original || Buffer.compare(original, bytes.subarray(address, end)) === 0) continue;
      const changed = original.findIndex((byte, i) => byte !== bytes[address + i]);
      throw new Error(`${name}: byte ${changed} of an input changed`);
    }
  }

  /** Forgets all buffers; their bytes stay what they are, as in a memory in use. */
  reset(): void {
    this.placed = [];
    this.bottom = this.start;
    this.top = this.memory.buffer.byteLength;
  }

  private nameOf(kind: string, values: Values): string {
    return `${kind} ${this.placed.length} (${values.constructor.name}, ${values.length})`;
  }

  private place<A extends Values>(
    type: ValuesConstructor<A>,
    n: number,
    { name = "buffer", offset = 0, last = false }: Place,
  ): Buffer<A> {
    const length = n * type.BYTES_PER_ELEMENT;
    const aligned = Math.ceil((this.bottom + GUARD_BYTES) / ALIGNMENT) * ALIGNMENT;
    const address = last ? this.top - length : aligned + offset;
    const end = address + length + (last ? 0 : GUARD_BYTES);
    if (address - GUARD_BYTES < this.bottom || end > this.top) {
      throw new Error(
        `${name}: the test's memory of ${this.memory.buffer.byteLength} bytes is full`,
      );
    }
    if (last) this.top = address - GUARD_BYTES;
    else this.bottom = end;
    const memory = this.memory.buffer;
    new Uint8Array(memory).fill(GUARD, address - GUARD_BYTES, end);
    new Uint8Array(memory).fill(0xff, address, address + length);
    this.placed.push({ name, address, bytes: length, original: null });
    return {
      address,
      // slice: a float32 at an odd address has no view of its own.
      values: () => new type(memory.slice(address, address + length), 0, n),
      set: (values) => new Uint8Array(memory).set(toBytes(values).subarray(0, length), address),
    };
  }
}

function toBytes(values: Values): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/**
 * `npm run dev` compiles one debug core for the tests of a kernel that has just changed, with the
 * exports of entry.ts.
 */
const isQuick = process.env.LAMELLA_BUILD === "debug";
const files = {
  release: "core.wasm",
  debug: isQuick ? "test.debug.wasm" : "core.debug.wasm",
  relaxed: "core.relaxed.wasm",
  test: "test.wasm",
  "test, debug": "test.debug.wasm",
  "test, relaxed": "test.relaxed.wasm",
};
export type Build = keyof typeof files;
/** Those with the exports of entry.ts. */
type TestBuild = "test" | "test, debug" | "test, relaxed";
const modules = new Map<Build, WebAssembly.Module>();

function bytesOf(build: Build): Uint8Array<ArrayBuffer> {
  const url = new URL(`../../build/${files[build]}`, import.meta.url);
  if (!existsSync(url)) {
    const maker = build.startsWith("test") ? "test/support/global-setup.js" : "scripts/build.js";
    throw new Error(`build/${files[build]} is missing: ${maker} makes it`);
  }
  return new Uint8Array(readFileSync(url));
}

/** Whether this host knows relaxed SIMD: Node 20 does not. */
export const hasRelaxed = WebAssembly.validate(bytesOf("relaxed"));

/** For tests of kernels that run on each build, and for those of what entry.ts exports. */
export const builds = chosen<Exclude<Build, TestBuild>>("release", "debug", "relaxed");
export const testBuilds: readonly TestBuild[] = isQuick
  ? ["test, debug"]
  : chosen<TestBuild>("test", "test, relaxed");

/**
 * Those that this host knows; for test/mutation/run.js, which makes one build anew, that one alone.
 */
function chosen<B extends Build>(...all: B[]): readonly B[] {
  const known = all.filter((build) => hasRelaxed || !build.includes("relaxed"));
  const wanted = known.filter((build) => build === process.env.LAMELLA_BUILD);
  return wanted.length > 0 ? wanted : known;
}

/** "test" is the release core with the exports of entry.ts. */
export function openCore(build: TestBuild, memoryBytes?: number): TestCore<Exports & InnerExports>;
export function openCore(build: Exclude<Build, TestBuild>, memoryBytes?: number): TestCore;
export function openCore(build: Build, memoryBytes = 16 * 1024 * 1024): TestCore {
  let module = modules.get(build);
  if (!module) {
    module = new WebAssembly.Module(bytesOf(build));
    modules.set(build, module);
  }
  return new TestCore(module, memoryBytes);
}
