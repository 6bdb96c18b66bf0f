import type { FloatDType } from "../tensor/dtype.ts";
import type { Inputs } from "../tensor/rows.ts";
import type { Runtime } from "../tensor/runtime.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { checkInput } from "./architecture.ts";
import { type Kinds, named } from "./engine/kinds.ts";
import type { LayerSpec } from "./layers/all.ts";
import { construct, NetworkModel, type NetworkOptions } from "./network_model.ts";
import { checkSettings } from "./settings.ts";
import type { StateSource } from "./state.ts";

export interface SequentialOptions<D extends FloatDType = FloatDType> extends NetworkOptions<D> {
  /** The shape of one example: [784], or [28, 28]. */
  input: readonly number[];
  layers: readonly LayerSpec[];
}

const KEYS = ["input", "layers", "dtype", "seed", "initializer"];

/**
 * A model whose values come from somewhere else than its initializers, checked before anything is
 * allocated.
 */
export function sequentialFrom<D extends FloatDType, C extends number | string = number>(
  runtime: Runtime,
  options: SequentialOptions<D>,
  state: StateSource,
  kinds?: Kinds,
): Sequential<D, C> {
  const Class = Sequential as unknown as new (...given: unknown[]) => Sequential<D, C>;
  return new Class(runtime, options, state, kinds);
}

/**
 * Layers in a row. It owns its tensors: they belong to no scope, and are freed by dispose(), or by
 * the garbage collector some time after the model is forgotten.
 *
 * The buffers of a batch are planned with the first batch, and again only for a larger one, so that
 * steps allocate nothing. A ReLU after an affine layer is computed with it.
 */
export class Sequential<
  D extends FloatDType = "float32",
  C extends number | string = number,
> extends NetworkModel<D, C, Inputs, Tensor<D>> {
  /** The descriptions it was made from. */
  readonly layers: readonly LayerSpec[];

  /**
   * @throws TypeError for a layer of no known kind; RangeError for a setting out of range;
   *   ShapeError where a layer does not take what comes from below; DTypeError; MemoryError. The
   *   message names the layer by index and kind
   */
  constructor(runtime: Runtime, options: SequentialOptions<D>);
  constructor(
    runtime: Runtime,
    options: SequentialOptions<D>,
    state?: StateSource,
    kinds: Kinds = named,
  ) {
    super();
    const title = "Sequential";
    const describe = () => {
      checkSettings(title, "options", options, KEYS);
      const { input: shape, layers } = options;
      return { inputs: [{ name: "input", shape: checkInput(title, shape) }], layers };
    };
    const network = construct(this, title, runtime, options, describe, state, kinds);
    this.layers = network.specs as readonly LayerSpec[];
  }
}
