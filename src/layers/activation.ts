// The functional calls of the activations. What they check, keep and pass to the kernel follows
// from the records of the layer, so that a call by hand and a model go by the same settings.

import type { Kernels } from "../runtime/core.ts";
import { ShapeError } from "../runtime/errors.ts";
import type { Cache } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { readSetting, type Setting } from "../tensor/numbers.ts";
import { checkAliases, checkCache } from "../tensor/operands.ts";
import type { Tensor, TensorHandle } from "../tensor/tensor.ts";
import { type UnarySaved, UnaryState, unaryBackward, unaryForward } from "./unary.ts";

// biome-ignore lint/suspicious/noExplicitAny: every record knows its own
type Settings = any;

/** What the calls need of a record that serves. */
export interface Activation {
  readonly kind: string;
  readonly settings?: Readonly<Record<string, Setting>>;
  /** Why a shape is not taken. */
  refusal?(shape: readonly number[], settings: Settings): string | undefined;
  /** The length of a row, for a kernel that acts on rows. */
  columns?(shape: readonly number[], settings: Settings): number;
  /** The numbers that the kernels take last. */
  values?(settings: Settings, shape: readonly number[]): number[];
}

/** What the calls need of a record that trains. */
export interface Kept {
  /** What the backward pass reads beside dout. */
  readonly keeps?: "x" | "out" | "sign";
}

type Kernel = (...given: number[]) => void;

/** The kernels of a kind, such as leaky_relu_forward of leakyRelu. */
export function kernelOf(kernels: Kernels, kind: string, pass: "forward" | "backward"): Kernel {
  const name = kind.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return kernels[`${name}_${pass}` as keyof Kernels] as Kernel;
}

interface ActivationSaved<D extends FloatDType> extends UnarySaved<D> {
  readonly settings: Settings;
  /** What the kernels take after the addresses: lengths, and numbers. */
  readonly rest: readonly number[];
  readonly isByRow: boolean;
}

type StateClass = new <D extends FloatDType>(
  operation: string,
  tensor: TensorHandle<D>,
  more: Pick<ActivationSaved<D>, "settings" | "rest" | "isByRow">,
) => UnaryState<D>;

/** The class of a kind's caches, whose getters show what the call kept and its settings. */
const classes = new Map<string, StateClass>();

function classOf(kind: string, kept: "x" | "out", names: readonly string[]): StateClass {
  let found = classes.get(kind);
  if (!found) {
    class State<D extends FloatDType> extends UnaryState<D, ActivationSaved<D>> {
      static show(name: string, read: (saved: ActivationSaved<FloatDType>) => unknown): void {
        Object.defineProperty(State.prototype, name, {
          get(this: State<FloatDType>) {
            return read(this.saved);
          },
        });
      }
    }
    State.show(kept, (saved) => saved.kept);
    for (const name of names) State.show(name, (saved) => saved.settings[name]);
    found = State;
    classes.set(kind, found);
  }
  return found;
}

/**
 * Runs the forward kernel of a kind into options.out or a new tensor.
 * @param needsX tells for settings why `out` may not be x; without it, x is needed where it is kept
 */
export function activate<D extends FloatDType, C extends Cache>(
  record: Activation,
  { keeps }: Kept,
  x: Tensor<D>,
  options: { readonly out?: Tensor<D> | undefined },
  needsX?: (settings: Settings) => string | undefined,
): { out: Tensor<D>; cache: C } {
  const { kind, columns } = record;
  const operation = `${kind}Forward`;
  const list = Object.entries(record.settings ?? {});
  const names = list.map(([name]) => name);
  const settings: Settings = {};
  for (const [name, [, fallback]] of list) {
    const { [name]: value = fallback } = Object(options) as Settings; // once
    settings[name] = value;
  }
  let rest: number[] = [];
  const { out, x: xs } = unaryForward(
    operation,
    x,
    options,
    (kernels, out, x) => kernelOf(kernels, kind, "forward")(out.address, x.address, ...rest),
    (x, given) => {
      const { shape, size } = x;
      for (const [name, setting] of list) {
        const value = settings[name];
        if (value !== undefined) settings[name] = readSetting(operation, name, setting, value);
      }
      if (columns && shape.length === 0) {
        throw new ShapeError(`${operation}: x must have shape (…, C), got ()`);
      }
      const refusal = record.refusal?.(shape, settings);
      if (refusal) throw new ShapeError(`${operation}: ${refusal}`);
      const reason = needsX ? needsX(settings) : keeps === "x" && `${kind}Backward needs x`;
      if (columns || reason)
        checkAliases(operation, [["out", given]], [["x", x]], reason || undefined);
      const C = columns?.(shape, settings);
      rest = C === undefined ? [size] : [size && size / C, C];
      rest.push(...(record.values?.(settings, shape) ?? []));
    },
    ["out", ...names],
  );
  const [shown, kept] =
    keeps === "out" ? (["out", out as TensorHandle<D>] as const) : (["x", xs] as const);
  const State = classOf(kind, shown, names);
  const cache = new State(operation, kept, { settings, rest, isByRow: columns !== undefined });
  return { out, cache: xs.runtime.own(cache) as unknown as C };
}

/** Runs the backward kernel of a kind into options.dx or a new tensor. */
export function differentiate<D extends FloatDType>(
  { kind }: Activation,
  dout: Tensor<D>,
  cache: Cache,
  options: { readonly dx?: Tensor<D> | undefined },
): Tensor<D> {
  const operation = `${kind}Backward`;
  const state = checkCache<ActivationSaved<D>>(operation, cache, `${kind}Forward`);
  const { kept, rest, isByRow } = state;
  return unaryBackward(
    operation,
    dout,
    state,
    options,
    (kernels, dx, dout) =>
      kernelOf(kernels, kind, "backward")(dx.address, dout.address, kept.address, ...rest),
    (dout, given) => {
      if (!isByRow) return;
      const operands = [
        ["dout", dout],
        ["the cache's out", kept],
      ] as const;
      checkAliases(operation, [["dx", given]], operands);
    },
  );
}
