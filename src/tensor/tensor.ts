import type { Core, Kernels } from "../runtime/core.ts";
import { DisposedError, ShapeError } from "../runtime/errors.ts";
import type { Memory } from "../runtime/memory.ts";
import type { Numbers } from "./convert.ts";
import { type DType, type FloatDType, type TypedArrayOf, typedArrays } from "./dtype.ts";
import { denoInspectSymbol, inspectSymbol, Resource } from "./scope.ts";
import { checkShape, copyShape, formatShape, sizeOf } from "./shape.ts";
import type { Storage } from "./storage.ts";

/** A handle on an array of numbers in a runtime's memory, row-major (C order). */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  /** The number of elements: the product of the shape. */
  readonly size: number;
  /**
   * A live view of the elements in memory: what is written into it, the tensor holds. Valid until
   * the next call that can grow the memory; read the property again after it. `toTypedArray`
   * copies.
   * @throws DisposedError
   */
  readonly data: TypedArrayOf<D>;
  /**
   * A copy of the elements.
   * @throws DisposedError
   */
  toTypedArray(): TypedArrayOf<D>;
  /**
   * The only element of a tensor of size 1.
   * @throws ShapeError for any other size
   */
  item(): number;
  /**
   * A second handle on the same elements under another shape; one length may be −1 and is then
   * what the others leave.
   * @throws ShapeError where the sizes differ
   */
  reshape(shape: readonly number[]): Tensor<D>;
  /**
   * Gives up this handle. The memory is free when no handle on it is left. A second call does
   * nothing.
   */
  dispose(): void;
  [Symbol.dispose](): void;
}

/**
 * What tensors, caches, layers and losses ask of the runtime that they belong to. LamellaRuntime
 * (runtime.ts) implements it; it stands here, as a runtime makes tensors and a tensor has a
 * runtime.
 */
export interface TensorRuntime {
  readonly disposed: boolean;
  readonly linear: Memory;
  readonly core: Core;
  readonly threads: number;
  /** Throws where this runtime has been disposed. */
  check(operation: string): void;
  /** The kernels of a floating dtype. */
  kernels(dtype: FloatDType): Kernels;
  /** A tensor of the current scope; its elements are whatever the memory held. */
  create<D extends DType>(dtype: D, shape: readonly number[]): TensorHandle<D>;
  /** A tensor of no scope that lives until it is disposed or forgotten. */
  lasting<D extends DType>(dtype: D, shape: readonly number[]): TensorHandle<D>;
  /**
   * Puts a new resource into the current scope; outside all scopes the garbage collector frees it.
   */
  own<R extends Resource>(resource: R): R;
  /** Runs fn; where it throws, what it had made is freed, else it belongs to the current scope. */
  atomically<T>(fn: () => T): T;
  /** Runs fn with the address of this many bytes, which are free again after it. */
  withWorkspace<T>(bytes: number, fn: (address: number) => T): T;
  /** Runs fn, then disposes what was made inside it and is not in its result. */
  scope<T>(fn: () => T): T;
  /** The key of the runtime's own generator, and the first of this many blocks of its stream. */
  takeRandomBlocks(blocks: number): { key: number; low: number; high: number };
}

/** A host's own function that shows a value as console.log does. */
type Inspect = (value: unknown, options: object) => string;

/**
 * This takes the place of a storage that a handle has given up: a model whose own tensor was
 * disposed says so, whatever it is asked.
 */
const gone = {
  get address(): never {
    throw new DisposedError("a tensor that this call needs has been disposed");
  },
} as unknown as Storage;

/** The one implementation of Tensor. */
export class TensorHandle<D extends DType = DType> extends Resource implements Tensor<D>, Numbers {
  private view: TypedArrayOf<D> | null = null;

  /** Use a runtime's create or lasting, or alias; the handle belongs to no scope yet. */
  constructor(
    readonly runtime: TensorRuntime,
    /** It is let go at dispose: a handle without data must not keep them from being collected. */
    public storage: Storage,
    private readonly type: D,
    private readonly lengths: readonly number[],
    private readonly count: number,
  ) {
    super();
    storage.retain();
  }

  // Getters, as kernels go by them: NumPy's x.shape = … is a TypeError here.
  get dtype(): D {
    return this.type;
  }

  get shape(): readonly number[] {
    return this.lengths;
  }

  get size(): number {
    return this.count;
  }

  /** The byte address of the first element; 0 where there is none. */
  get address(): number {
    return this.storage.address;
  }

  get data(): TypedArrayOf<D> {
    this.check("data");
    const { buffer } = this.runtime.linear.wasm;
    if (this.view?.buffer !== buffer) {
      this.view = new typedArrays[this.dtype](
        buffer as ArrayBuffer,
        this.address,
        this.size,
      ) as TypedArrayOf<D>;
    }
    return this.view;
  }

  /** The elements from start to end, as a view. */
  part(start: number, end: number): Float64Array {
    const data = this.data as TypedArrayOf<DType> as Float64Array;
    return end - start === this.size ? data : data.subarray(start, end);
  }

  toTypedArray(): TypedArrayOf<D> {
    this.check("toTypedArray");
    return this.data.slice() as TypedArrayOf<D>;
  }

  item(): number {
    this.check("item");
    if (this.size !== 1) {
      throw new ShapeError(
        `item: expected a tensor of size 1, got shape ${formatShape(this.shape)}`,
      );
    }
    return this.data[0] as number;
  }

  reshape(shape: readonly number[]): Tensor<D> {
    this.check("reshape");
    const wanted = copyShape("reshape", shape);
    const given = wanted.slice();
    const open = wanted.indexOf(-1);
    if (open >= 0 && wanted.every(Number.isInteger)) {
      const others = -sizeOf(wanted);
      wanted[open] = this.size / others;
      if (!(Number.isInteger(wanted[open]) && others >= 0)) throw this.wrongSize(given);
    }
    const checked = checkShape("reshape", wanted);
    if (sizeOf(checked) !== this.size) throw this.wrongSize(given);
    return this.runtime.own(this.alias(checked));
  }

  /** A further handle on the same storage, of no scope. */
  alias(shape: readonly number[] = this.shape): TensorHandle<D> {
    return new TensorHandle(this.runtime, this.storage, this.dtype, shape, this.size);
  }

  override toString(): string {
    const gone = this.disposed || this.runtime.disposed;
    return `Tensor ${formatShape(this.shape)} ${this.dtype}${gone ? " (disposed)" : ""}`;
  }

  /** Shows the values too, by the function that the host passes. */
  override [inspectSymbol](_depth: number, options: object, inspect?: Inspect): string {
    return this.withValues(inspect, options);
  }

  override [denoInspectSymbol](inspect: Inspect, options: object): string {
    return this.withValues(inspect, options);
  }

  private withValues(inspect: Inspect | undefined, options: object): string {
    const gone = this.disposed || this.runtime.disposed;
    return gone || !inspect ? `${this}` : `${this} ${inspect(this.data, options)}`;
  }

  override leaveScopes(): void {
    // A cache that leaves its scope may hold one that was disposed by hand.
    if (!this.disposed) this.storage.register();
  }

  protected override release(): void {
    this.view = null;
    this.storage.release();
    this.storage = gone;
  }

  private check(operation: string): void {
    if (this.disposed || this.runtime.disposed) {
      throw new DisposedError(
        `${operation}: the ${this.disposed ? "tensor" : "tensor's runtime"} has been disposed`,
      );
    }
  }

  private wrongSize(shape: readonly number[]): ShapeError {
    return new ShapeError(
      `reshape: ${formatShape(this.shape)} has ${this.size} elements, which do not fit ${formatShape(shape)}`,
    );
  }
}
