import { kinds, OperationWords } from "../runtime/abi.ts";
import type { Kernels } from "../runtime/core.ts";
import { DisposedError, ShapeError, show } from "../runtime/errors.ts";
import { countOf, type Numbers, numbersOf } from "../tensor/convert.ts";
import { type FloatDType, itemSize, type TypedArrayOf, typedArrays } from "../tensor/dtype.ts";
import type { Examples } from "../tensor/rows.ts";
import { Owner } from "../tensor/scope.ts";
import { checkShape, formatShape, sizeOf } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { kindOf, lengthOf } from "../tensor/views.ts";
import { placesOf } from "./graph/plan.ts";
import type { Operand, Operation } from "./graph/record.ts";

/** What a predictor computes with, and where: one block of memory that is its own. */
export interface PredictorHost {
  readonly kernels: Pick<Kernels, "predict" | "predict_pack" | "predict_work_bytes">;
  /** The memory as it is now; undefined where it is gone. */
  buffer(): ArrayBuffer | undefined;
  /** A block of so many bytes, aligned to 64, and what gives it back. */
  allocate(bytes: number): { address: number; release(): void };
}

/** The numbers at an address: the view is made anew once the memory has grown. */
interface View<D extends FloatDType> {
  readonly address: number;
  readonly size: number;
  view: TypedArrayOf<D> | null;
}

/**
 * A network compiled for serving: one call of the core for each prediction, and nothing allocated
 * in its memory after it was made. It keeps copies of the weights: the model may be trained on or
 * disposed. Sequential.compile and loadPredictor make it.
 */
export interface Predictor<D extends FloatDType = "float32"> {
  /** The most examples of one run. */
  readonly maxBatch: number;
  /** The shape of one example, and of its scores. */
  readonly inputShape: readonly number[];
  readonly outputShape: readonly number[];
  readonly dtype: D;
  /**
   * The names of the classes, where the model has names: as many as scores, or two for one score.
   */
  readonly classes: readonly string[] | undefined;
  /**
   * The metadata of the file that it was loaded from, to be read alone; empty for a model that was
   * compiled.
   */
  readonly metadata: ReadonlyMap<string, string>;
  /**
   * The examples of a run, (maxBatch, …inputShape): a live view that the caller fills. The getter
   * makes it anew when the memory has grown, so read it again rather than keep it across other
   * calls.
   * @throws DisposedError
   */
  readonly input: TypedArrayOf<D>;
  /**
   * The scores of the last run, (maxBatch, …outputShape), a live view as input is.
   * @throws DisposedError
   */
  readonly output: TypedArrayOf<D>;
  /**
   * Computes the scores in `output` for the first `batch` examples in `input`; default maxBatch.
   * @throws RangeError for more examples than maxBatch, or less than none; DisposedError
   */
  run(batch?: number): void;
  /**
   * The scores of up to maxBatch examples, as a new array. As everywhere, x is their numbers in a
   * row, in an array or a typed array of any kind, nested arrays (N, …inputShape), or a tensor of
   * that shape; other dtypes are converted.
   * @throws ShapeError where x is not that many numbers; TypeError where an element is none;
   *   DisposedError
   */
  predict(x: Examples): TypedArrayOf<D>;
  /** Gives its memory back. A second call does nothing. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** The one implementation of Predictor. */
export class CompiledPredictor<D extends FloatDType> extends Owner implements Predictor<D> {
  // The kernels go by these: the constructor freezes them.
  readonly maxBatch: number;
  readonly inputShape: readonly number[];
  readonly outputShape: readonly number[];
  readonly dtype: D;
  readonly metadata: ReadonlyMap<string, string>;
  readonly classes: readonly string[] | undefined;
  readonly #host: PredictorHost;
  readonly #inSize: number;
  readonly #outSize: number;
  readonly #operations: { readonly address: number; readonly count: number };
  #block: { release(): void } | null;
  readonly #views: readonly [View<D>, View<D>];

  constructor(
    host: PredictorHost,
    dtype: D,
    operations: readonly Operation[],
    inputShape: readonly number[],
    outputShape: readonly number[],
    maxBatch: number,
    metadata: ReadonlyMap<string, string>,
    classes: readonly string[] | undefined,
  ) {
    super();
    this.#host = host;
    this.dtype = dtype;
    this.maxBatch = maxBatch;
    this.inputShape = inputShape;
    this.outputShape = outputShape;
    // Others read it too, so that it is a map without what would change it. Map.prototype.set
    // changes it even so, as it does any map; an object that holds out against that would be none,
    // which console.log shows and postMessage takes. The predictor itself does not read it again.
    this.metadata = Object.freeze(
      Object.defineProperties(metadata, { set: {}, delete: {}, clear: {} }),
    );
    this.classes = classes;
    this.#inSize = sizeOf(inputShape);
    this.#outSize = sizeOf(outputShape);

    // The layout of the block: first how much, then what.
    let bytes = 0;
    const place = (length: number) => {
      const offset = bytes;
      bytes += Math.ceil(length / 64) * 64;
      return offset;
    };
    const item = itemSize[dtype];
    let weights = 0;
    let work = 0;
    for (const { isProduct, inSize, outSize, operands } of operations) {
      if (!isProduct) continue;
      weights = Math.max(weights, (operands[0] as Operand).length);
      work = Math.max(work, host.kernels.predict_work_bytes(maxBatch, inSize, outSize));
    }
    place(operations.length * OperationWords.length * 4); // the program is at the beginning
    // The input and the output are the caller's; what is between them shares what there is.
    const last = operations.length - 1;
    const lives = operations
      .slice(0, last)
      .map(({ outSize }, from) => ({ size: outSize, from, until: from, onto: -1 }));
    for (const [i, { x }] of operations.entries()) {
      const life = lives[x - 1];
      if (life) life.until = i;
    }
    const { placeOf, sizes } = placesOf(lives);
    const input = place(maxBatch * this.#inSize * item);
    const output = place(maxBatch * this.#outSize * item);
    const inner = sizes.map((size) => place(maxBatch * size * item));
    const offsets = [input, ...placeOf.map((i) => inner[i] as number), output];
    // Weights are copied here before they are packed; in a run it is the workspace.
    const scratch = place(Math.max(work, weights * item));
    const windows = operations.map(({ window = [] }) => place(window.length * 4));
    const places = operations.map(({ operands }) => operands.map((o) => place(o.length * item)));

    const block = host.allocate(bytes);
    this.#block = block;
    const base = block.address;
    const buffer = host.buffer() as ArrayBuffer;
    const Elements = typedArrays[dtype] as Float32ArrayConstructor;
    const fields = new Uint32Array(buffer, base);
    const numbers = new Float64Array(buffer, base);
    try {
      for (const [i, operation] of operations.entries()) {
        const { kind, x, isProduct, inSize, outSize, columns, operands, values, window } =
          operation;
        const at = (places[i] as number[]).map((offset) => base + offset);
        for (const [k, operand] of operands.entries()) {
          const packs = isProduct && k === 0;
          const address = packs ? base + scratch : (at[k] as number);
          new Elements(buffer, address, operand.length).set(operand.values());
          if (packs) host.kernels.predict_pack(at[k] as number, address, inSize, outSize);
        }
        if (window) fields.set(window, (windows[i] as number) / 4);
        const first = i * OperationWords.length;
        Object.assign(fields.subarray(first), {
          [OperationWords.kind]: kinds[kind as keyof typeof kinds],
          [OperationWords.out]: base + (offsets[i + 1] as number),
          [OperationWords.x]: base + (offsets[x] as number),
          [OperationWords.a]: at[0],
          [OperationWords.b]: at[1],
          [OperationWords.c]: at[2],
          [OperationWords.window]: base + (windows[i] as number),
          [OperationWords.work]: base + scratch,
          [OperationWords.D]: inSize,
          [OperationWords.M]: columns,
        });
        numbers.set(values, (first + OperationWords.value0) / 2);
      }
    } catch (error) {
      block.release();
      throw error;
    }
    this.#operations = { address: base, count: operations.length };
    const view = (offset: number, size: number): View<D> => ({
      address: base + offset,
      size,
      view: null,
    });
    this.#views = [view(input, maxBatch * this.#inSize), view(output, maxBatch * this.#outSize)];
    Object.freeze(this);
  }

  get input(): TypedArrayOf<D> {
    return this.#view("input", 0);
  }

  get output(): TypedArrayOf<D> {
    return this.#view("output", 1);
  }

  run(batch: number = this.maxBatch): void {
    if (!(Number.isInteger(batch) && batch >= 0 && batch <= this.maxBatch)) {
      throw new RangeError(
        `Predictor.run: batch must be a whole number from 0 to maxBatch (${this.maxBatch}), got ${show(batch)}`,
      );
    }
    this.#check("run");
    const { address, count } = this.#operations;
    if (count === 0) this.output.set(this.input.subarray(0, batch * this.#inSize));
    this.#host.kernels.predict(address, count, batch);
  }

  predict(x: Examples): TypedArrayOf<D> {
    // A typed array is looked at no closer: to set it runs no code of the caller's.
    const length = kindOf(x) === undefined ? 0 : lengthOf(x);
    if (length > 0) return this.#scores(x as Float64Array, length);
    const numbers = this.#numbersOf(x);
    return this.#scores(numbers.part(0, numbers.size), numbers.size);
  }

  #scores(x: Float64Array, length: number): TypedArrayOf<D> {
    const batch = length / this.#inSize;
    if (!(Number.isInteger(batch) && batch <= this.maxBatch)) {
      throw new ShapeError(
        `Predictor.predict: x must hold up to ${this.maxBatch} examples of shape ${formatShape(this.inputShape)}, so a multiple of ${this.#inSize} numbers, got ${length} numbers`,
      );
    }
    this.#check("predict");
    this.input.set(x);
    this.run(batch);
    return this.output.slice(0, batch * this.#outSize) as TypedArrayOf<D>;
  }

  #numbersOf(x: Examples): Numbers {
    const operation = "Predictor.predict";
    // A tensor of whichever runtime and copy of the package: a copy of its numbers is as good.
    const { toTypedArray, shape } = (x ?? {}) as Partial<Tensor>;
    const isTensor = typeof toTypedArray === "function";
    const data = isTensor ? toTypedArray.call(x) : x;
    const numbers = numbersOf(operation, "x", data, this.dtype);
    if (isTensor || numbers.shape.length > 1) {
      const given = isTensor ? checkShape(operation, shape) : numbers.shape;
      countOf(operation, "x", given, this.inputShape, isTensor);
      if (sizeOf(given) !== numbers.size) {
        throw new ShapeError(
          `${operation}: x has shape ${formatShape(given)} but ${numbers.size} numbers`,
        );
      }
    }
    return numbers;
  }

  override toString(): string {
    const each = (shape: readonly number[]) => `(N, ${shape.join(", ")})`;
    const shapes = `${each(this.inputShape)} → ${each(this.outputShape)}`;
    return `Predictor ${shapes}, ${this.dtype}, N up to ${this.maxBatch}${this.#block ? "" : " (disposed)"}`;
  }

  override dispose(): void {
    this.#block?.release();
    this.#block = null;
  }

  #check(operation: string): void {
    if (!this.#block || !this.#host.buffer()) {
      throw new DisposedError(`Predictor.${operation}: the predictor has been disposed`);
    }
  }

  #view(operation: string, which: 0 | 1): TypedArrayOf<D> {
    this.#check(operation);
    const entry = this.#views[which];
    const buffer = this.#host.buffer();
    if (entry.view?.buffer !== buffer) {
      const Elements = typedArrays[this.dtype] as Float32ArrayConstructor;
      entry.view = new Elements(
        buffer as ArrayBuffer,
        entry.address,
        entry.size,
      ) as TypedArrayOf<D>;
    }
    return entry.view as TypedArrayOf<D>;
  }
}
