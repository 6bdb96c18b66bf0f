import { type Core, coreBuild, isShared, type Kernels, openCore } from "../runtime/core.ts";
import { DisposedError, ShapeError, show, WorkerError } from "../runtime/errors.ts";
import { checkLimits, Memory, type MemoryLimits } from "../runtime/memory.ts";
import type { Pool } from "../runtime/pool.ts";
import { loadModule, loadModuleSync, poolOf, type WasmSource } from "../runtime/wasm.ts";
import {
  checkDType,
  checkInt32,
  type NestedArray,
  type NumberArray,
  type Numbers,
  numbersOf,
  wholeNumbers,
} from "./convert.ts";
import { type DType, type DTypeOf, type FloatDType, itemSize } from "./dtype.ts";
import { checkSeed } from "./numbers.ts";
import { liveTensor } from "./operands.ts";
import { checkKeys } from "./options.ts";
import { LegacyRandom, type Random } from "./random.ts";
import { Owner, type Resource, Scope } from "./scope.ts";
import { checkShape, formatShape, sizeOf } from "./shape.ts";
import { Books, Storage } from "./storage.ts";
import { type Tensor, TensorHandle, type TensorRuntime } from "./tensor.ts";

export interface RuntimeOptions extends MemoryLimits {
  /**
   * The build of the core, in place of the one that is inlined: a variant's import
   * (`lamella/wasm/relaxed`), a WebAssembly.Module, bytes, a Response or a URL; of several, the
   * first that this host can compile. Where it can compile none and a variant is among them, the
   * inlined build computes.
   */
  wasm?: WasmSource | readonly WasmSource[] | undefined;
  /**
   * How many threads compute; default 1. More need a build with shared memory as `wasm`: the import
   * `lamella/wasm/shared` or `/relaxed-shared`. "auto" is as many as the processor has, up to 16,
   * and one where that cannot be.
   */
  threads?: number | "auto" | undefined;
  /**
   * The seed of the runtime's own generator, a whole number in [0, 2³²); default 0, the same in
   * every host.
   */
  seed?: number | undefined;
}

/** What a runtime's memory holds; all but `tensors` are bytes. */
export interface MemoryFigures {
  /** The bytes that tensors and caches use, each rounded up to 64. */
  readonly bytesLive: number;
  /** The most that has been in use at once, the workspaces of calls included. */
  readonly bytesPeak: number;
  /** The size of the linear memory. */
  readonly bytesReserved: number;
  /** Handles that have not been disposed, those that caches hold included. */
  readonly tensors: number;
}

/** One linear memory and one instance of the core. All of its methods are synchronous. */
export interface Runtime {
  /** What the memory holds now. */
  readonly memory: MemoryFigures;
  /**
   * Which build of the core computes: "strict" gives the same bits in every host, "relaxed" is
   * faster where it can be.
   */
  readonly variant: "strict" | "relaxed";
  /** How many threads compute. */
  readonly threads: number;

  /**
   * A tensor with a copy of these numbers: a typed array of any kind, arrays in arrays, whose
   * innermost may be typed arrays, or a tensor of any runtime. The shape defaults to the data's
   * own; the dtype to the tensor's or the typed array's, else to "float32".
   * @throws ShapeError where the data does not fill the shape or nested arrays are ragged
   * @throws TypeError for something that is not numbers, RangeError for an int32 that is not whole
   */
  tensor<A extends Float32Array | Float64Array | Int32Array>(
    data: A,
    shape?: readonly number[],
  ): Tensor<DTypeOf<A>>;
  tensor<D extends DType>(data: Tensor<D>, shape?: readonly number[]): Tensor<D>;
  tensor(data: NumberArray | NestedArray, shape?: readonly number[]): Tensor<"float32">;
  tensor<D extends DType>(
    data: NumberArray | NestedArray | Tensor,
    shape: readonly number[] | undefined,
    dtype: D,
  ): Tensor<D>;

  /** All 0; float32 unless said. */
  zeros<D extends DType = "float32">(shape: readonly number[], dtype?: D): Tensor<D>;
  /** All 1; float32 unless said. */
  ones<D extends DType = "float32">(shape: readonly number[], dtype?: D): Tensor<D>;
  /** All of one value; float32 unless said. */
  full<D extends DType = "float32">(shape: readonly number[], value: number, dtype?: D): Tensor<D>;

  /**
   * Runs fn and then disposes every tensor and cache made inside it, but for those in its result
   * (itself, or inside arrays, plain objects, Maps and Sets), which the surrounding scope owns from
   * then on. When fn throws, everything made inside is disposed. Where you do not need a result,
   * use braces: `scope(() => step(x))` keeps whatever step returns, `scope(() => { step(x); })`
   * nothing.
   * @throws TypeError where fn returns a promise: a scope ends when fn returns
   */
  scope<T>(fn: () => T): T;

  /**
   * NumPy's legacy generator, as after np.random.seed(seed).
   * @param seed a whole number in [0, 2³²)
   * @throws RangeError for any other seed
   */
  random(seed: number): Random;

  /**
   * Ends the runtime: its tensors, caches and generators throw DisposedError from here on. A second
   * call does nothing.
   */
  dispose(): void;
  [Symbol.dispose](): void;
}

const UINT32 = 2 ** 32;

/** The one implementation of Runtime; layers and losses see the rest of it. */
export class LamellaRuntime extends Owner implements Runtime, TensorRuntime {
  readonly variant: "strict" | "relaxed";
  disposed = false;
  /** Why it is disposed, where nobody asked for it. */
  private failure: WorkerError | undefined;
  threads = 1;
  private pool: Pool | undefined;
  readonly linear: Memory;
  /** The core is let go at dispose. */
  core: Core;
  private readonly books: Books;
  private currentScope: Scope | null = null;
  private readonly seed: number;
  private counter = 0;

  /** Options that checkOptions has passed. */
  constructor(operation: string, module: WebAssembly.Module, options: RuntimeOptions) {
    super();
    this.seed = options.seed ?? 0;
    const shared = isShared(module);
    this.linear = new Memory(operation, options, shared);
    const pool = poolOf(module);
    this.core = openCore(
      module,
      this.linear.wasm,
      pool?.guard((reason) => this.fail(reason)),
    );
    this.variant = this.core.exports.is_relaxed() ? "relaxed" : "strict";
    this.linear.open(this.core.exports.heap_base());
    this.books = new Books(this.linear);
    this.linear.advice = () =>
      `; ${this.books.tensors} tensors are alive: dispose() frees one, runtime.scope(fn) those that fn makes`;
  }

  async start(operation: string, threads: number | "auto"): Promise<void> {
    const { instance } = this.core;
    const OwnPool = poolOf(instance.module);
    if (!OwnPool || threads === 1) return;
    this.pool = new OwnPool(instance, (reason) => this.fail(reason));
    try {
      this.threads = await this.pool.start(operation, threads);
    } catch (error) {
      this.dispose();
      throw new WorkerError((error as Error).message);
    }
  }

  /** Ends the runtime for good: what its memory holds can no longer be trusted. */
  private fail(reason: string): WorkerError {
    this.failure ??= new WorkerError(`${reason}; this runtime cannot be used any more`);
    this.dispose();
    return this.failure;
  }

  get memory(): MemoryFigures {
    this.check("memory");
    const { bytesLive, bytesPeak, bytesReserved } = this.linear;
    return { bytesLive, bytesPeak, bytesReserved, tensors: this.books.tensors };
  }

  tensor<T extends Tensor>(
    data: NumberArray | NestedArray | Tensor,
    shape?: readonly number[],
    dtype?: DType,
  ): T {
    const operation = "tensor";
    this.check(operation);
    if (dtype !== undefined) checkDType(operation, dtype);
    const given = shape === undefined ? undefined : checkShape(operation, shape);
    const own = dtype === undefined || dtype === "float32" ? "float32" : "float64";
    let numbers: Numbers =
      data instanceof TensorHandle
        ? liveTensor(operation, "data", data)
        : numbersOf(operation, "data", data, own, this.linear.wasm);
    this.check(operation); // to read an array may run code of the caller's
    const { size } = numbers;
    const due = given ?? Object.freeze(numbers.shape);
    if (sizeOf(due) !== size) {
      throw new ShapeError(
        `${operation}: shape ${formatShape(due)} holds ${sizeOf(due)} elements but data has ${size}`,
      );
    }
    const chosen = dtype ?? numbers.dtype;
    if (chosen === "int32" && numbers.dtype !== "int32") {
      numbers = wholeNumbers(operation, "data", numbers);
    }
    const tensor = this.create(chosen, due);
    tensor.data.set(numbers.part(0, size));
    return tensor as Tensor as T;
  }

  zeros<D extends DType = "float32">(shape: readonly number[], dtype?: D): Tensor<D> {
    return this.filled("zeros", shape, 0, dtype);
  }

  ones<D extends DType = "float32">(shape: readonly number[], dtype?: D): Tensor<D> {
    return this.filled("ones", shape, 1, dtype);
  }

  full<D extends DType = "float32">(shape: readonly number[], value: number, dtype?: D): Tensor<D> {
    return this.filled("full", shape, value, dtype);
  }

  scope<T>(fn: () => T): T {
    this.check("scope");
    if (typeof fn !== "function") {
      throw new TypeError(`scope: fn must be a function, got ${show(fn)}`);
    }
    const scope = new Scope(this.currentScope);
    this.currentScope = scope;
    try {
      const result = fn();
      if (typeof (result as { then?: unknown } | null | undefined)?.then === "function") {
        throw new TypeError(
          "scope: fn returned a promise; a scope ends when fn returns, so fn must be synchronous",
        );
      }
      scope.keep(result);
      return result;
    } finally {
      this.currentScope = scope.parent;
      scope.end();
    }
  }

  random(seed: number): Random {
    this.check("random");
    return new LegacyRandom(this, checkSeed("random", seed));
  }

  override dispose(): void {
    if (this.disposed) return;
    this.disposed = true;
    this.pool?.close();
    this.linear.close();
    // Of a call under way, too, in the middle of which a getter of the caller's has disposed it.
    Object.defineProperty(this, "core", { get: () => this.check("Runtime") });
  }

  override toString(): string {
    const { variant, threads } = this;
    const what = `Runtime: ${variant}, ${threads === 1 ? "1 thread" : `${threads} threads`}`;
    if (this.disposed) return `${what} (disposed)`;
    const { bytesLive, bytesReserved, tensors } = this.memory;
    return `${what}, ${tensors} tensors, ${bytesLive} bytes live of ${bytesReserved}`;
  }

  /** Throws where this runtime has been disposed. */
  check(operation: string): void {
    if (this.failure) throw new WorkerError(`${operation}: ${this.failure.message}`);
    if (this.disposed) throw new DisposedError(`${operation}: the runtime has been disposed`);
  }

  /** The kernels of a floating dtype. */
  kernels(dtype: FloatDType): Kernels {
    return this.core[dtype];
  }

  /** A tensor of no scope, its elements whatever the memory held. */
  allocate<D extends DType>(dtype: D, shape: readonly number[]): TensorHandle<D> {
    const size = sizeOf(shape);
    const bytes = size * itemSize[dtype];
    this.check("Runtime");
    const block = bytes > 0 ? this.linear.allocate(bytes) : null;
    const storage = new Storage({ block, handles: 0 }, this.books);
    return new TensorHandle(this, storage, dtype, Object.freeze(shape), size);
  }

  /** A tensor of the current scope, its elements whatever the memory held. */
  create<D extends DType>(dtype: D, shape: readonly number[]): TensorHandle<D> {
    return this.own(this.allocate(dtype, shape));
  }

  /**
   * A tensor of no scope that lives until it is disposed or forgotten, its elements whatever the
   * memory held.
   */
  lasting<D extends DType>(dtype: D, shape: readonly number[]): TensorHandle<D> {
    const tensor = this.allocate(dtype, shape);
    tensor.leaveScopes();
    return tensor;
  }

  /** Runs fn; where it throws, what it had made is gone, else it belongs to the current scope. */
  atomically<T>(fn: () => T): T {
    const scope = new Scope(this.currentScope);
    this.currentScope = scope;
    try {
      const result = fn();
      scope.keepAll();
      return result;
    } finally {
      this.currentScope = scope.parent;
      scope.end();
    }
  }

  /** Runs fn with the address of so many bytes, which are free again after it. */
  withWorkspace<T>(bytes: number, fn: (address: number) => T): T {
    if (bytes === 0) return fn(0);
    const block = this.linear.allocate(bytes);
    try {
      return fn(block.address);
    } finally {
      this.linear.release(block);
    }
  }

  /**
   * Puts a new resource into the current scope; outside all scopes, into the garbage collector's
   * care.
   */
  own<R extends Resource>(resource: R): R {
    if (this.currentScope) this.currentScope.add(resource);
    else resource.leaveScopes();
    return resource;
  }

  /**
   * The key of the runtime's own generator, and the counter from which this many blocks are the
   * caller's.
   */
  takeRandomBlocks(blocks: number): { key: number; low: number; high: number } {
    const { counter } = this;
    this.counter += blocks;
    return { key: this.seed, low: counter >>> 0, high: Math.floor(counter / UINT32) };
  }

  private filled<D extends DType>(
    operation: string,
    shape: readonly number[],
    value: number,
    dtype: D | undefined,
  ): Tensor<D> {
    this.check(operation);
    const checked = checkShape(operation, shape);
    const known = dtype === undefined ? "float32" : checkDType(operation, dtype);
    if (typeof value !== "number") {
      throw new TypeError(`${operation}: value must be a number, got ${typeof value}`);
    }
    if (known === "int32") checkInt32(operation, "value", value);
    const tensor = this.create(known, checked);
    tensor.data.fill(value);
    return tensor as TensorHandle as TensorHandle<D>;
  }
}

/** The options, each read once. */
function checkOptions(operation: string, given: RuntimeOptions): RuntimeOptions {
  checkKeys(operation, "options", given, KEYS, true);
  const { wasm, threads, seed, initialMemory, maxMemory } = given;
  const options = { wasm, threads, seed, initialMemory, maxMemory };
  if (seed !== undefined) checkSeed(operation, seed);
  checkLimits(operation, options);
  if (threads === undefined || threads === "auto") return options;
  if (Number.isInteger(threads) && threads >= 1 && threads <= MOST_THREADS) return options;
  throw new RangeError(
    `${operation}: threads must be a whole number from 1 to ${MOST_THREADS} or "auto", got ${show(threads)}`,
  );
}

const MOST_THREADS = 64;
const KEYS = ["wasm", "threads", "seed", "initialMemory", "maxMemory"];

/** Refuses threads without a memory that they could share. */
function checkShared(operation: string, { threads }: RuntimeOptions, module: WebAssembly.Module) {
  if (typeof threads === "number" && threads > 1 && !poolOf(module)) {
    throw new RangeError(
      `${operation}: threads: ${threads} needs a core with shared memory: import shared from "lamella/wasm/shared", and pass it as wasm`,
    );
  }
}

/**
 * A runtime: one linear memory, one instance of the core.
 * @throws TypeError for a `wasm` that is no core, RangeError for options out of range, MemoryError
 *   where the host gives no memory
 */
export async function createRuntime(given: RuntimeOptions = {}): Promise<Runtime> {
  const operation = "createRuntime";
  const options = checkOptions(operation, given);
  const module = await loadModule(operation, coreBuild, options.wasm);
  checkShared(operation, options, module);
  const runtime = new LamellaRuntime(operation, module, options);
  await runtime.start(operation, options.threads ?? 1);
  return runtime;
}

/** As createRuntime, at once: `wasm` must be a WebAssembly.Module or bytes. */
export function createRuntimeSync(given: Omit<RuntimeOptions, "threads"> = {}): Runtime {
  const operation = "createRuntimeSync";
  const options = checkOptions(operation, given);
  const { threads = 1 } = options;
  if (threads !== 1 && threads !== "auto") {
    throw new RangeError(
      `${operation}: threads: ${threads} must be waited for; await createRuntime`,
    );
  }
  return new LamellaRuntime(operation, loadModuleSync(operation, coreBuild, options.wasm), options);
}
