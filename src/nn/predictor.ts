import { kinds, OperationWords } from "../runtime/abi.ts";
import type { PredictKernels } from "../runtime/core.ts";
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

/** What a predictor computes with, and where: two blocks of memory that are its own. */
export interface PredictorHost {
  readonly kernels: PredictKernels;
  /** The memory as it is now; undefined where it is gone. */
  buffer(): ArrayBuffer | undefined;
  /** A block of so many bytes, aligned to 64, and what gives it back. */
  allocate(bytes: number): Block;
}

interface Block {
  readonly address: number;
  release(): void;
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
  /**
   * Begins new sequences: the states that a stateful predictor has kept become zeros. Of another
   * there is nothing to forget, as each of its calls begins from zeros.
   * @throws DisposedError
   */
  reset(): void;
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
  readonly #blocks: Block[] = [];
  readonly #views: readonly [View<D>, View<D>];
  /** The states of recurrent layers that are kept: their addresses and lengths. */
  readonly #states: (readonly [address: number, length: number])[] = [];

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

    // Where everything is in a block: first how much, then what.
    let bytes = 0;
    const place = (length: number) => {
      const offset = bytes;
      bytes += Math.ceil(length / 64) * 64;
      return offset;
    };
    const allocate = () => {
      const block = host.allocate(bytes);
      this.#blocks.push(block);
      bytes = 0;
      return block.address;
    };
    const item = itemSize[dtype];
    const Elements = typedArrays[dtype] as Float32ArrayConstructor;
    const buffer = () => host.buffer() as ArrayBuffer;
    const { kernels } = host;
    const wordsAt = (address: number) => new Uint32Array(buffer(), address);
    try {
      // The program comes first: the core tells by it how much room the rest takes.
      const each = OperationWords.length * 4;
      place(operations.length * each);
      const windows = operations.map(({ window = [] }) => place(window.length * 4));
      const program = allocate();
      this.#operations = { address: program, count: operations.length };
      for (const [i, operation] of operations.entries()) {
        const { kind, inSize, columns, values, window = [] } = operation;
        const address = program + i * each;
        wordsAt(program + (windows[i] as number)).set(window);
        Object.assign(wordsAt(address), {
          [OperationWords.kind]: kinds[kind as keyof typeof kinds],
          [OperationWords.window]: program + (windows[i] as number),
          [OperationWords.D]: inSize,
          [OperationWords.M]: columns,
        });
        new Float64Array(buffer(), address + 4 * OperationWords.value0).set(values);
      }

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
      let work = 0;
      let weights = 0;
      const rooms = operations.map(({ operands }, i) => {
        const address = program + i * each;
        work = Math.max(work, kernels.predict_work_bytes(address, maxBatch));
        const room = kernels.predict_pack_bytes(address);
        if (room) weights = Math.max(weights, (operands[0] as Operand).length * item);
        return room;
      });
      // Weights that are packed come to where the values will be, of which there are none yet.
      place(Math.max(0, weights - bytes));
      const scratch = place(work);
      const tensors = operations.map(({ operands }, i) =>
        operands.map(({ length }, k) => place((k === 0 && rooms[i]) || length * item)),
      );
      const base = allocate();
      for (const [i, { x, operands }] of operations.entries()) {
        const address = program + i * each;
        const [a, b, c] = (tensors[i] as number[]).map((offset) => base + offset);
        Object.assign(wordsAt(address), {
          [OperationWords.out]: base + (offsets[i + 1] as number),
          [OperationWords.x]: base + (offsets[x] as number),
          [OperationWords.a]: a,
          [OperationWords.b]: b,
          [OperationWords.c]: c,
          [OperationWords.work]: base + scratch,
        });
        for (const [k, operand] of operands.entries()) {
          const packs = k === 0 && rooms[i];
          const to = packs ? base : ([a, b, c][k] as number);
          new Elements(buffer(), to, operand.length).set(operand.values());
          if (packs) kernels.predict_pack(address, base);
        }
        if ((operations[i] as Operation).keepsState) {
          this.#states.push([c as number, (operands[2] as Operand).length]);
        }
      }
      const view = (offset: number, size: number): View<D> => ({
        address: base + offset,
        size,
        view: null,
      });
      this.#views = [view(input, maxBatch * this.#inSize), view(output, maxBatch * this.#outSize)];
    } catch (error) {
      this.dispose();
      throw error;
    }
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

  reset(): void {
    this.#check("reset");
    const Elements = typedArrays[this.dtype] as Float32ArrayConstructor;
    for (const [address, length] of this.#states) {
      new Elements(this.#host.buffer() as ArrayBuffer, address, length).fill(0);
    }
  }

  override toString(): string {
    const each = (shape: readonly number[]) => `(N, ${shape.join(", ")})`;
    const shapes = `${each(this.inputShape)} → ${each(this.outputShape)}`;
    return `Predictor ${shapes}, ${this.dtype}, N up to ${this.maxBatch}${this.#blocks.length > 0 ? "" : " (disposed)"}`;
  }

  override dispose(): void {
    for (const block of this.#blocks.splice(0)) block.release();
  }

  #check(operation: string): void {
    if (this.#blocks.length === 0 || !this.#host.buffer()) {
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
