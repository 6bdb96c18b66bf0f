// What normalisations with a gain and a bias have in common: their caches, and the calls of their
// backward kernels.

import { type Cache, type Saved, SavedState } from "../tensor/cache.ts";
import type { FloatDType } from "../tensor/dtype.ts";
import { checkAliases, checkCache, destination, upstream } from "../tensor/operands.ts";
import { checkKeys } from "../tensor/options.ts";
import type { Tensor, TensorHandle } from "../tensor/tensor.ts";

const BACKWARD = ["dx", "dgamma", "dbeta"];

/**
 * What the forward of a normalisation leaves for its backward: its operands, by reference, and the
 * statistics it used.
 */
export interface NormCache<D extends FloatDType = FloatDType> extends Cache {
  readonly x: Tensor<D>;
  readonly gamma: Tensor<D>;
}

export interface NormSaved<D extends FloatDType> extends Saved {
  readonly x: TensorHandle<D>;
  readonly gamma: TensorHandle<D>;
  /** Means and 1 / sqrt(var + eps), as the kernel has them. */
  readonly statistics: TensorHandle<"float64">;
}

export class NormState<D extends FloatDType, S extends NormSaved<D> = NormSaved<D>>
  extends SavedState<S>
  implements NormCache<D>
{
  /** Holds handles of its own on x and gamma, and the statistics themselves. */
  constructor(saved: S) {
    super(saved, [saved.x, saved.gamma, saved.statistics]);
  }

  get x(): Tensor<D> {
    return this.saved.x;
  }

  get gamma(): Tensor<D> {
    return this.saved.gamma;
  }
}

/** Undefined for a gradient that was left out. */
export type Gradient<D extends FloatDType, Given> = Given extends false ? undefined : Tensor<D>;

/**
 * Checks a backward call and runs its kernel.
 * @param bytes the kernel's workspace
 * @param kernel is called with the tensors to write into, undefined for what is left out
 */
export function normBackward<D extends FloatDType, S extends NormSaved<D>, X, G, B>(
  operation: string,
  forward: string,
  dout: Tensor<D>,
  cache: NormCache<D>,
  options: { dx?: X | undefined; dgamma?: G | undefined; dbeta?: B | undefined },
  bytes: (state: S, hasInput: boolean) => number,
  kernel: (
    state: S,
    work: number,
    dout: TensorHandle<D>,
    dx: TensorHandle<D> | undefined,
    dgamma: TensorHandle<D> | undefined,
    dbeta: TensorHandle<D> | undefined,
  ) => void,
): { dx: Gradient<D, X>; dgamma: Gradient<D, G>; dbeta: Gradient<D, B> } {
  checkKeys(operation, "options", options, BACKWARD);
  const wanted = [options.dx, options.dgamma, options.dbeta] as (Tensor<D> | false | undefined)[];
  const state = checkCache<S>(operation, cache, forward);
  const up = upstream(operation, dout, state);
  const { x, gamma, runtime } = state;
  const like = [x, gamma, gamma];
  const given = like.map(({ shape }, i) =>
    destination(operation, BACKWARD[i] as string, wanted[i], shape, "the cache", state),
  );
  checkAliases(
    operation,
    given.map((tensor, i) => [BACKWARD[i] as string, tensor]),
    [
      ["dout", up],
      ["the cache's x", x],
      ["the cache's gamma", gamma],
    ],
  );
  return runtime.withWorkspace(bytes(state, wanted[0] !== false), (work) =>
    runtime.atomically(() => {
      const [dx, dgamma, dbeta] = like.map(({ shape }, i) =>
        wanted[i] === false ? undefined : (given[i] ?? runtime.create(up.dtype, shape)),
      );
      kernel(state, work, up, dx, dgamma, dbeta);
      return { dx, dgamma, dbeta } as {
        dx: Gradient<D, X>;
        dgamma: Gradient<D, G>;
        dbeta: Gradient<D, B>;
      };
    }),
  );
}
