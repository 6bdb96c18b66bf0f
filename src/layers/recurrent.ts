// What the recurrent layers have in common: their operands, the lengths of their sequences, and the
// one struct by which their kernels go.

import { RecurrenceWords } from "../runtime/abi.ts";
import type { Kernels } from "../runtime/core.ts";
import { DTypeError, ShapeError, show } from "../runtime/errors.ts";
import { type Cache, type Saved, SavedState } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import {
  checkAliases,
  checkCache,
  checkRank,
  checkTensorShape,
  describe,
  destination,
  floatOperand,
  liveTensor,
  type Named,
  operandLike,
  upstream,
} from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import { formatShape } from "../tensor/shape.ts";
import { type Tensor, TensorHandle, type TensorRuntime } from "../tensor/tensor.ts";
import { kindOf, lengthOf } from "../tensor/views.ts";

/** The steps of each sequence, (N,) whole numbers from 0 to T. */
export type Lengths = Tensor<"int32"> | Int32Array | readonly number[];

/** What the forward calls take beside their operands. */
export interface RecurrentOptions<D extends FloatDType> {
  readonly lengths?: Lengths | undefined;
  readonly out?: Tensor<D> | undefined;
}

/** What rnnForward, lstmForward and gruForward leave for their backward: operands by reference. */
export interface RecurrentCache<D extends FloatDType = FloatDType> extends Cache {
  readonly x: Tensor<D>;
  readonly h0: Tensor<D>;
  readonly wx: Tensor<D>;
  readonly wh: Tensor<D>;
  readonly b: Tensor<D>;
}

type Operands<D extends FloatDType> = Record<string, TensorHandle<D>>;

export interface RecurrentSaved<D extends FloatDType> extends Saved {
  readonly operands: Operands<D>;
  /** out, gates and cells. */
  readonly kept: Operands<D>;
  readonly lengths: TensorHandle<"int32"> | undefined;
  readonly resetAfter: boolean;
}

class RecurrentState<D extends FloatDType>
  extends SavedState<RecurrentSaved<D>>
  implements RecurrentCache<D>
{
  get x(): Tensor<D> {
    return this.operand("x");
  }

  get h0(): Tensor<D> {
    return this.operand("h0");
  }

  get c0(): Tensor<D> {
    return this.operand("c0");
  }

  get wx(): Tensor<D> {
    return this.operand("wx");
  }

  get wh(): Tensor<D> {
    return this.operand("wh");
  }

  get b(): Tensor<D> {
    return this.operand("b");
  }

  get bh(): Tensor<D> | null {
    return this.operand("bh") ?? null;
  }

  private operand(name: string): Tensor<D> {
    return this.saved.operands[name] as TensorHandle<D>;
  }
}

/** A layer: its kernels, the gates G, and what it has beside x, h0, wx, wh and b. */
export interface Recurrent {
  readonly name: "rnn" | "lstm" | "gru";
  readonly G: number;
  /** What forward saves: the gates, and an array (N, T, H) of the kernel's own. */
  readonly gates: boolean;
  readonly cells: boolean;
  readonly resetAfter: boolean;
}

type KernelName = `${Recurrent["name"]}_${"forward" | "backward"}`;

/**
 * The lengths of N sequences as an array of its own, checked.
 * @throws RangeError with the index and value of the first wrong length, ShapeError for another
 *   number of them, DTypeError, DisposedError, and TypeError for what is no list of numbers
 */
function readLengths(operation: string, given: unknown, N: number, T: number): Int32Array {
  let list = given as ArrayLike<unknown>;
  const isTensor = given instanceof TensorHandle;
  const kind = kindOf(given);
  if (isTensor) {
    const tensor = liveTensor(operation, "lengths", given);
    if (tensor.dtype !== "int32") {
      throw new DTypeError(`${operation}: lengths must be int32, got ${tensor.dtype}`);
    }
    if (tensor.shape.length !== 1) {
      throw new ShapeError(
        `${operation}: lengths must have shape (${N},), got ${formatShape(tensor.shape)}`,
      );
    }
    list = tensor.data;
  } else if (kind?.startsWith("Float")) {
    throw new DTypeError(`${operation}: lengths must be int32, got a ${kind}`);
  } else if (!(Array.isArray(given) || kind)) {
    throw new TypeError(
      `${operation}: lengths must be an Int32Array, an array of whole numbers or an int32 tensor, got ${describe(given)}`,
    );
  }
  const count = kind ? lengthOf(given) : list.length;
  if (count !== N) {
    throw new ShapeError(`${operation}: x has ${N} sequences but lengths has ${count} elements`);
  }
  const lengths = new Int32Array(N);
  for (let n = 0; n < N; n++) {
    const length = list[n];
    if (!(Number.isInteger(length) && (length as number) >= 0 && (length as number) <= T)) {
      throw new RangeError(
        `${operation}: lengths[${n}] is ${show(length)}, expected a whole number in [0, ${T}]`,
      );
    }
    lengths[n] = length as number;
  }
  return lengths;
}

/** Runs fn with the address of a Recurrence and with the workspace that a kernel needs by it. */
function withRecurrence<T>(
  runtime: TensorRuntime,
  kernels: Kernels,
  kernel: KernelName,
  fields: Record<number, number>,
  fn: (write: (more: Record<number, number>) => void) => T,
): T {
  return runtime.withWorkspace(4 * RecurrenceWords.length, (address) => {
    // The memory may have grown between two calls.
    const words = () =>
      new Uint32Array(runtime.linear.wasm.buffer, address, RecurrenceWords.length);
    Object.assign(words().fill(0), fields);
    const bytes = kernels[`${kernel}_work_bytes`](address);
    return runtime.withWorkspace(bytes, (work) =>
      fn((more) => {
        Object.assign(words().fill(0), fields, { [RecurrenceWords.work]: work }, more);
        kernels[kernel](address);
      }),
    );
  });
}

/** The sizes that a kernel goes by, and whether an optional array is there. */
function sizesOf<D extends FloatDType>(
  { resetAfter }: { readonly resetAfter: boolean },
  { x, wh }: Operands<D>,
): { N: number; T: number; H: number; fields: Record<number, number> } {
  const [N, T, D] = (x as TensorHandle).shape as [number, number, number];
  const H = (wh as TensorHandle).shape[0] as number;
  return {
    ...{ N, T, H },
    fields: {
      [RecurrenceWords.N]: N,
      [RecurrenceWords.T]: T,
      [RecurrenceWords.D]: D,
      [RecurrenceWords.H]: H,
      [RecurrenceWords.pitch]: H,
      [RecurrenceWords.resetAfter]: Number(resetAfter),
    },
  };
}

/** The addresses of a layer's operands. */
const addressesOf = <D extends FloatDType>({ x, h0, c0, wx, wh, b, bh }: Operands<D>) => ({
  [RecurrenceWords.x]: (x as TensorHandle).address,
  [RecurrenceWords.h0]: (h0 as TensorHandle).address,
  [RecurrenceWords.c0]: c0?.address ?? 0,
  [RecurrenceWords.wx]: (wx as TensorHandle).address,
  [RecurrenceWords.wh]: (wh as TensorHandle).address,
  [RecurrenceWords.b]: (b as TensorHandle).address,
  [RecurrenceWords.bh]: bh?.address ?? 0,
});

/**
 * Checks a forward call and runs its kernel.
 * @param given the operands by their names, in the order in which they are looked at; bh may be
 *   null
 */
export function recurrentForward<D extends FloatDType>(
  layer: Recurrent,
  given: Record<string, Tensor<D> | null>,
  options: RecurrentOptions<D>,
): { out: Tensor<D>; h: Tensor<D>; c: Tensor<D>; cache: RecurrentState<D> } {
  const { name, G } = layer;
  const operation = `${name}Forward`;
  const { lengths: wantedLengths, out: wanted } = options;
  const xs = floatOperand(operation, "x", given.x as Tensor<D>);
  const operands: Operands<D> = { x: xs };
  for (const [key, value] of Object.entries(given)) {
    if (key === "x" || (key === "bh" && value === null)) continue;
    operands[key] = operandLike<D>(operation, key, value as Tensor<D>, "x", xs);
  }
  const { h0, c0, wx, wh, b, bh } = operands as Record<string, TensorHandle<D>>;
  checkRank(operation, "x", xs, 3, "(N, T, D)");
  checkRank(operation, "h0", h0 as TensorHandle<D>, 2, "(N, H)");
  const [N, T, D] = xs.shape as [number, number, number];
  const H = (h0 as TensorHandle).shape[1] as number;
  const check = (name: string, tensor: TensorHandle | undefined, shape: number[]) => {
    if (tensor) checkTensorShape(operation, name, tensor, shape);
  };
  check("h0", h0, [N, H]);
  check("c0", c0, [N, H]);
  check("wx", wx, [D, G * H]);
  check("wh", wh, [H, G * H]);
  check("b", b, [G * H]);
  check("bh", bh, [G * H]);
  const steps =
    wantedLengths === undefined ? undefined : readLengths(operation, wantedLengths, N, T);
  const outShape = [N, T, H];
  const target = destination(operation, "out", wanted, outShape, "x", xs);
  checkAliases(operation, [["out", target]], Object.entries(operands));

  const { runtime, dtype } = xs;
  const { fields } = sizesOf(layer, operands);
  // An address that is not 0 stands for gates that are saved.
  const sized = { ...fields, [RecurrenceWords.gates]: Number(layer.gates) };
  return withRecurrence(runtime, runtime.kernels(dtype), `${name}_forward`, sized, (run) =>
    runtime.atomically(() => {
      const out = target ?? runtime.create(dtype, outShape);
      const h = runtime.create(dtype, [N, H]);
      const c = c0 && runtime.create(dtype, [N, H]);
      const gates = layer.gates ? runtime.create(dtype, [N, T, G * H]) : undefined;
      const cells = layer.cells ? runtime.create(dtype, outShape) : undefined;
      const lengths = steps && runtime.create("int32", [N]);
      if (lengths) lengths.data.set(steps as Int32Array<ArrayBuffer>);
      run({
        ...addressesOf(operands),
        [RecurrenceWords.lengths]: lengths?.address ?? 0,
        [RecurrenceWords.out]: out.address,
        [RecurrenceWords.h]: h.address,
        [RecurrenceWords.c]: c?.address ?? 0,
        [RecurrenceWords.gates]: gates?.address ?? 0,
        [RecurrenceWords.cells]: cells?.address ?? 0,
      });
      const held = Object.fromEntries(
        Object.entries(operands).map(([name, tensor]) => [name, tensor.alias()]),
      );
      const kept: Operands<D> = {
        out: out.alias(),
        ...(gates && { gates }),
        ...(cells && { cells }),
      };
      const saved: RecurrentSaved<D> = {
        ...{ operation, runtime, dtype, outShape, operands: held, kept, lengths },
        resetAfter: layer.resetAfter,
      };
      const all = [...Object.values(held), ...Object.values(kept), ...(lengths ? [lengths] : [])];
      const cache = runtime.own(new RecurrentState<D>(saved, all));
      return { out, h, c: c as TensorHandle<D>, cache };
    }),
  );
}

/** Undefined for a gradient that was left out. */
export type GradientOf<D extends FloatDType, Given, Name extends string> = Given extends {
  readonly [key in Name]: false;
}
  ? undefined
  : Tensor<D>;

/** Where gradients are written, by their names: a tensor, or false to leave one out. */
export type Destinations<D extends FloatDType, Name extends string> = {
  readonly [key in Name]?: Tensor<D> | false | undefined;
};

/**
 * Checks a backward call and runs its kernel.
 * @param names the gradients, by their names with a d before those of the operands
 * @param states the last states whose gradients it takes
 */
export function recurrentBackward<D extends FloatDType>(
  name: Recurrent["name"],
  names: readonly string[],
  states: readonly string[],
  dout: Tensor<D>,
  cache: Cache,
  options: Record<string, Tensor<D> | false | undefined>,
): Record<string, Tensor<D> | undefined> {
  const operation = `${name}Backward`;
  checkKeys(operation, "options", options, [...names, ...states]);
  // Each once, and before the operands are looked at.
  const wanted = names.map((name) => options[name]);
  const ups = states.map((name) => options[name]);
  const state = checkCache<RecurrentSaved<D>>(operation, cache, `${name}Forward`);
  const up = upstream(operation, dout, state);
  const { operands, kept, lengths, runtime, dtype } = state;
  const { N, H, fields } = sizesOf(state, operands);
  const last = ups.map((tensor, i) =>
    destination(operation, states[i] as string, tensor, [N, H], "the cache", state),
  );
  const like = names.map((name) => operands[name.slice(1)]);
  const targets = like.map((operand, i) =>
    operand
      ? destination(operation, names[i] as string, wanted[i], operand.shape, "the cache", state)
      : undefined,
  );
  names.forEach((each, i) => {
    if (like[i] || !wanted[i]) return;
    throw new TypeError(
      `${operation}: ${each} must be left out where the forward's ${each.slice(1)} was null, got a destination`,
    );
  });
  const shown = ({ ...all }: Operands<D>) =>
    Object.entries(all).map(([name, tensor]): Named => [`the cache's ${name}`, tensor]);
  // Biases are not read again.
  const { b, bh, ...read } = operands;
  checkAliases(
    operation,
    targets.map((tensor, i): Named => [names[i] as string, tensor]),
    [
      ["dout", up],
      ...last.map((tensor, i): Named => [states[i] as string, tensor]),
      ...shown(read),
      ...shown(kept),
    ],
  );
  const { out, gates, cells } = kept;
  const sized = { ...fields, [RecurrenceWords.lengths]: lengths?.address ?? 0 };
  return withRecurrence(runtime, runtime.kernels(dtype), `${name}_backward`, sized, (run) =>
    runtime.atomically(() => {
      const gradients: Record<string, TensorHandle<D> | undefined> = {};
      for (const [i, name] of names.entries()) {
        const operand = like[i];
        if (!operand || wanted[i] === false) continue;
        gradients[name] = targets[i] ?? runtime.create(dtype as D, operand.shape);
      }
      const { dx, dh0, dc0, dwx, dwh, db, dbh } = gradients;
      const [dh, dc] = last;
      run({
        ...addressesOf(operands),
        [RecurrenceWords.out]: out?.address ?? 0,
        [RecurrenceWords.gates]: gates?.address ?? 0,
        [RecurrenceWords.cells]: cells?.address ?? 0,
        [RecurrenceWords.dout]: up.address,
        [RecurrenceWords.dh]: dh?.address ?? 0,
        [RecurrenceWords.dc]: dc?.address ?? 0,
        [RecurrenceWords.dx]: dx?.address ?? 0,
        [RecurrenceWords.dh0]: dh0?.address ?? 0,
        [RecurrenceWords.dc0]: dc0?.address ?? 0,
        [RecurrenceWords.dwx]: dwx?.address ?? 0,
        [RecurrenceWords.dwh]: dwh?.address ?? 0,
        [RecurrenceWords.db]: db?.address ?? 0,
        [RecurrenceWords.dbh]: dbh?.address ?? 0,
      });
      return Object.fromEntries(names.map((name) => [name, gradients[name]]));
    }),
  );
}
