// From the layers of a network to the operations that serve it: dropout is gone, batch normalisation is folded into the
// weights before it, and bias and ReLU belong to the product.

import { kinds } from "../runtime/abi.ts";
import { sizeOf } from "../tensor/shape.ts";
import type { Blueprint } from "./layers/blueprint.ts";

/** The numbers of a tensor, made when they are asked for: the weights of one layer at a time are in JavaScript's memory. */
export interface Operand {
  readonly length: number;
  values(): ArrayLike<number>;
}

export interface Operation {
  readonly kind: number;
  /** Elements of an example before and after. */
  readonly inSize: number;
  readonly outSize: number;
  /** The columns of an affine operation, the last axis of softmax. */
  readonly columns: number;
  /** The floor of an affine operation, the slope of leaky ReLU. */
  value: number;
  /** Its tensors, by place: weights and bias, or the constants of each feature. */
  operands: readonly Operand[];
}

/** The settings that files keep of the layers that compute. */
interface Settings {
  readonly useBias?: boolean;
  readonly eps?: number;
  readonly negativeSlope?: number;
}

/**
 * The operations of these layers on examples of such a shape. A tensor is asked for by its name, "0.weight".
 *
 * Folding is done in float64: (x · w + b − mean) · f + beta with f = gamma / sqrt(var + eps) is x · (w · f) + ((b − mean) · f
 * + beta).
 */
export function programOf(
  layers: readonly Blueprint[],
  input: readonly number[],
  valuesOf: (name: string) => ArrayLike<number>,
): Operation[] {
  const operations: Operation[] = [];
  const add = (kind: number, shape: readonly number[], rest?: Partial<Operation>) => {
    const size = sizeOf(shape);
    const columns = shape[shape.length - 1] as number;
    const fields = { kind, inSize: size, outSize: size, columns, value: 0, operands: [] };
    operations.push({ ...fields, ...rest });
  };

  for (const [i, { inShape, outShape, saved, tensors }] of layers.entries()) {
    const { kind } = saved;
    const { useBias, eps, negativeSlope } = saved as Settings;
    const operand = (key: string): Operand => ({
      length: sizeOf(tensors[key] as number[]),
      values: () => valuesOf(`${i}.${key}`),
    });
    const below = operations[operations.length - 1];
    // What can still take something more upon its way out.
    const product = below?.kind === kinds.affine && below.value === -Infinity ? below : undefined;
    if (kind === "affine") {
      const columns = outShape[0] as number;
      const bias = useBias
        ? operand("bias")
        : { length: columns, values: () => new Float64Array(columns) };
      add(kinds.affine, inShape, {
        ...{ outSize: columns, columns, value: -Infinity },
        operands: [operand("weight"), bias],
      });
    } else if (kind === "batchnorm") {
      const factor: Operand = {
        length: outShape[0] as number,
        values() {
          const variance = valuesOf(`${i}.running_var`);
          return wide(operand("weight")).map(
            (gamma, j) => gamma / Math.sqrt((variance[j] as number) + (eps as number)),
          );
        },
      };
      const [mean, beta] = [operand("running_mean"), operand("bias")];
      if (product) product.operands = folded(product.operands, mean, factor, beta);
      else add(kinds.batchnorm, inShape, { operands: [mean, factor, beta] });
    } else if (kind === "relu") {
      if (product) product.value = 0;
      else add(kinds.relu, inShape);
    } else if (kind === "leakyRelu") {
      add(kinds.leakyRelu, inShape, { value: negativeSlope as number });
    } else if (kind === "normalize") {
      add(kinds.normalize, inShape, { operands: [operand("mean"), operand("std")] });
    } else if (kind !== "dropout" && kind !== "flatten") {
      add(kinds[kind as keyof typeof kinds], inShape);
    }
  }
  // The output is a buffer of its own, so something has to write it: x where x > 0, else 1 · x.
  if (operations.length === 0) add(kinds.leakyRelu, input, { value: 1 });
  return operations;
}

/** A copy in float64. */
const wide = (operand: Operand) => new Float64Array(operand.values());

/** Weights and bias with a batch normalisation in them. */
function folded(
  operands: readonly Operand[],
  mean: Operand,
  factor: Operand,
  beta: Operand,
): Operand[] {
  const [weight, bias] = operands as [Operand, Operand];
  const columns = bias.length;
  return [
    {
      length: weight.length,
      values() {
        const f = factor.values();
        return wide(weight).map((w, k) => w * (f[k % columns] as number));
      },
    },
    {
      length: columns,
      values() {
        const [m, f, c] = [mean.values(), factor.values(), beta.values()];
        return wide(bias).map(
          (b, j) => (b - (m[j] as number)) * (f[j] as number) + (c[j] as number),
        );
      },
    },
  ];
}
