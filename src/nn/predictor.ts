import { kinds, OperationWords } from "../runtime/abi.ts";
import type { PredictKernels } from "../runtime/core.ts";
import { DisposedError, ShapeError, show } from "../runtime/errors.ts";
import { countOf, type Numbers, numbersOf } from "../tensor/convert.ts";
import { type FloatDType, itemSize, type TypedArrayOf, typedArrays } from "../tensor/dtype.ts";
import type { Examples, Inputs } from "../tensor/rows.ts";
import { Owner } from "../tensor/scope.ts";
import { checkShape, formatShape, sizeOf } from "../tensor/shape.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { kindOf, lengthOf } from "../tensor/views.ts";
import { placesOf } from "./graph/plan.ts";
import type { Program } from "./graph/program.ts";
import type { Operand, Operation } from "./graph/record.ts";
import { isByName, type Port, valuesByName } from "./ports.ts";

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

/**
 * An input or an output: where its numbers are, of which the view is made anew once the memory has
 * grown.
 */
interface View<D extends FloatDType> extends Port {
  readonly address: number;
  readonly size: number;
  view: TypedArrayOf<D> | null;
}

/** Arrays by the names of inputs or outputs. */
export type Arrays<D extends FloatDType> = Readonly<Record<string, TypedArrayOf<D>>>;

/**
 * A network compiled for serving: one call of the core for each prediction, and nothing allocated
 * in its memory after it was made. It keeps copies of the weights: the model may be trained on or
 * disposed. A model's compile and loadPredictor make it.
 */
export interface Predictor<D extends FloatDType = "float32", S = TypedArrayOf<D>> {
  /** The most examples of one run. */
  readonly maxBatch: number;
  /** The shape of one example, and of its scores; of several inputs or outputs of the first. */
  readonly inputShape: readonly number[];
  readonly outputShape: readonly number[];
  readonly dtype: D;
  /**
   * All inputs by their names, each as `input` is, and all outputs as `output`: a live view that is
   * made anew when it is asked for. A model of layers in a row has "input" and "output".
   */
  readonly inputs: Arrays<D>;
  readonly outputs: Arrays<D>;
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
   * that shape; other dtypes are converted. A predictor of several inputs takes an object of such
   * by the inputs' names, and one of several outputs gives an object of arrays by their names.
   * @throws ShapeError where x is not that many numbers; TypeError where an element is none;
   *   DisposedError
   */
  predict(x: Inputs): S;
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
export class CompiledPredictor<D extends FloatDType, S = TypedArrayOf<D>>
  extends Owner
  implements Predictor<D, S>
{
  // The kernels go by these: the constructor freezes them.
  readonly maxBatch: number;
  readonly inputShape: readonly number[];
  readonly outputShape: readonly number[];
  readonly dtype: D;
  readonly metadata: ReadonlyMap<string, string>;
  readonly classes: readonly string[] | undefined;
  readonly #host: PredictorHost;
  readonly inputs: Arrays<D>;
  readonly outputs: Arrays<D>;
  readonly #operations: { readonly address: number; readonly count: number };
  readonly #blocks: Block[] = [];
  readonly #ins: readonly View<D>[];
  readonly #outs: readonly View<D>[];
  /** The states of recurrent layers that are kept: their addresses and lengths. */
  readonly #states: (readonly [address: number, length: number])[] = [];

  constructor(
    host: PredictorHost,
    dtype: D,
    { operations, inSizes, outputs }: Program,
    ins: readonly Port[],
    outs: readonly Port[],
    maxBatch: number,
    metadata: ReadonlyMap<string, string>,
    classes: readonly string[] | undefined,
  ) {
    super();
    this.#host = host;
    this.dtype = dtype;
    this.maxBatch = maxBatch;
    this.inputShape = (ins[0] as Port).shape;
    this.outputShape = (outs[0] as Port).shape;
    // Others read it too, so that it is a map without what would change it. Map.prototype.set
    // changes it even so, as it does any map; an object that holds out against that would be none,
    // which console.log shows and postMessage takes. The predictor itself does not read it again.
    this.metadata = Object.freeze(
      Object.defineProperties(metadata, { set: {}, delete: {}, clear: {} }),
    );
    this.classes = classes;

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

      // The inputs and the outputs are the caller's; what is between them shares what there is.
      const K = inSizes.length;
      const lives = operations.map(({ outSize, into }, from) => ({
        ...{ size: into || outputs.includes(K + from) ? 0 : outSize, from, until: from, onto: -1 },
      }));
      for (const [i, { xs, into }] of operations.entries()) {
        for (const value of into ? [...xs, into.value] : xs) {
          const life = lives[value - K];
          if (life) life.until = i;
        }
      }
      const { placeOf, sizes } = placesOf(lives);
      const room = (size: number) => place(maxBatch * size * item);
      const given = inSizes.map(room);
      const taken = outputs.map((value) => room((operations[value - K] as Operation).outSize));
      const inner = sizes.map(room);
      const offsetOf = (value: number) => {
        if (value < K) return given[value] as number;
        const output = outputs.indexOf(value);
        return output < 0
          ? (inner[placeOf[value - K] as number] as number)
          : (taken[output] as number);
      };
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
      for (const [i, { xs, into, operands }] of operations.entries()) {
        const address = program + i * each;
        const own = (tensors[i] as number[]).map((offset) => base + offset);
        const [x, ...others] = xs.map((value) => base + offsetOf(value));
        const [a, b, c] = [...others, ...own];
        const out = base + offsetOf(into?.value ?? K + i) + (into?.from ?? 0) * item;
        Object.assign(wordsAt(address), {
          [OperationWords.out]: out,
          [OperationWords.x]: x,
          [OperationWords.a]: a,
          [OperationWords.b]: b,
          [OperationWords.c]: c,
          [OperationWords.work]: base + scratch,
        });
        for (const [k, operand] of operands.entries()) {
          const packs = k === 0 && rooms[i];
          const to = packs ? base : (own[k] as number);
          new Elements(buffer(), to, operand.length).set(operand.values());
          if (packs) kernels.predict_pack(address, base);
        }
        if ((operations[i] as Operation).keepsState) {
          this.#states.push([c as number, (operands[2] as Operand).length]);
        }
      }
      const viewOf = (port: Port, offset: number): View<D> => ({
        ...{ name: port.name, shape: port.shape, view: null },
        ...{ address: base + offset, size: maxBatch * sizeOf(port.shape) },
      });
      this.#ins = ins.map((port, i) => viewOf(port, given[i] as number));
      this.#outs = outs.map((port, i) => viewOf(port, taken[i] as number));
    } catch (error) {
      this.dispose();
      throw error;
    }
    const byName = (kind: string, views: readonly View<D>[]) =>
      Object.freeze(
        Object.defineProperties(
          {},
          Object.fromEntries(
            views.map((view) => [
              view.name,
              { enumerable: true, get: () => this.#view(`${kind}.${view.name}`, view) },
            ]),
          ),
        ),
      ) as Arrays<D>;
    this.inputs = byName("inputs", this.#ins);
    this.outputs = byName("outputs", this.#outs);
    Object.freeze(this);
  }

  get input(): TypedArrayOf<D> {
    return this.#view("input", this.#ins[0] as View<D>);
  }

  get output(): TypedArrayOf<D> {
    return this.#view("output", this.#outs[0] as View<D>);
  }

  run(batch: number = this.maxBatch): void {
    if (!(Number.isInteger(batch) && batch >= 0 && batch <= this.maxBatch)) {
      throw new RangeError(
        `Predictor.run: batch must be a whole number from 0 to maxBatch (${this.maxBatch}), got ${show(batch)}`,
      );
    }
    this.#check("run");
    const { address, count } = this.#operations;
    this.#host.kernels.predict(address, count, batch);
  }

  predict(x: Inputs): S {
    const batch = this.#fill(x);
    const arrays = this.#outs.map((view) => this.#copyOf(view, batch));
    if (arrays.length === 1) return arrays[0] as S;
    return Object.fromEntries(this.#outs.map(({ name }, i) => [name, arrays[i]])) as S;
  }

  #copyOf(view: View<D>, batch: number): TypedArrayOf<D> {
    const whole = this.#view("predict", view);
    return whole.slice(0, batch * sizeOf(view.shape)) as TypedArrayOf<D>;
  }

  /** Puts examples into the inputs, runs, and gives how many they are. */
  #fill(x: Inputs): number {
    const operation = "Predictor.predict";
    const [first, ...others] = this.#ins as [View<D>, ...View<D>[]];
    if (others.length === 0 && !isByName(x, [first])) {
      const part = this.#part(operation, "x", x as Examples, first);
      return this.#runOn(operation, [part]);
    }
    const given = valuesByName(operation, "x", this.#ins, x);
    return this.#runOn(
      operation,
      this.#ins.map((view, i) =>
        this.#part(operation, `x.${view.name}`, given[i] as Examples, view),
      ),
    );
  }

  #runOn(operation: string, parts: readonly { numbers: Float64Array; batch: number }[]): number {
    const { batch } = parts[0] as { batch: number };
    for (const [i, part] of parts.entries()) {
      if (part.batch === batch) continue;
      const [a, b] = [this.#ins[0] as View<D>, this.#ins[i] as View<D>];
      throw new ShapeError(
        `${operation}: x.${a.name} has ${batch} examples but x.${b.name} has ${part.batch}`,
      );
    }
    this.#check("predict");
    for (const [i, { numbers }] of parts.entries()) {
      this.#view("input", this.#ins[i] as View<D>).set(numbers);
    }
    this.run(batch);
    return batch;
  }

  /** The numbers of one input, and of how many examples they are. */
  #part(operation: string, name: string, x: Examples, view: View<D>) {
    // A typed array is looked at no closer: to set it runs no code of the caller's.
    let length = kindOf(x) === undefined ? 0 : lengthOf(x);
    let numbers = x as Float64Array;
    if (length === 0) {
      const read = this.#numbersOf(operation, name, x, view);
      length = read.size;
      numbers = read.part(0, length) as Float64Array;
    }
    const each = sizeOf(view.shape);
    const batch = length / each;
    if (!(Number.isInteger(batch) && batch <= this.maxBatch)) {
      throw new ShapeError(
        `${operation}: ${name} must hold up to ${this.maxBatch} examples of shape ${formatShape(view.shape)}, so a multiple of ${each} numbers, got ${length} numbers`,
      );
    }
    return { numbers, batch };
  }

  #numbersOf(operation: string, name: string, x: Examples, view: View<D>): Numbers {
    // A tensor of whichever runtime and copy of the package: a copy of its numbers is as good.
    const { toTypedArray, shape } = (x ?? {}) as Partial<Tensor>;
    const isTensor = typeof toTypedArray === "function";
    const data = isTensor ? toTypedArray.call(x) : x;
    const numbers = numbersOf(operation, name, data, this.dtype);
    if (isTensor || numbers.shape.length > 1) {
      const given = isTensor ? checkShape(operation, shape) : numbers.shape;
      countOf(operation, name, given, view.shape, isTensor);
      if (sizeOf(given) !== numbers.size) {
        throw new ShapeError(
          `${operation}: ${name} has shape ${formatShape(given)} but ${numbers.size} numbers`,
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
    const list = (views: readonly View<D>[]) =>
      views.length === 1
        ? each((views[0] as View<D>).shape)
        : views.map(({ name, shape }) => `${name} ${each(shape)}`).join(", ");
    const shapes = `${list(this.#ins)} → ${list(this.#outs)}`;
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

  #view(operation: string, entry: View<D>): TypedArrayOf<D> {
    this.#check(operation);
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
