// From the layers of a network, as its file describes them, to the operations that serve it: dropout is gone, batch
// normalisation is folded into the weights before it, and bias and ReLU belong to the product.

/** What the core does; assembly/predict.ts has the same list. */
export const kinds = {
  affine: 0,
  batchnorm: 1,
  gelu: 2,
  leakyRelu: 3,
  normalize: 4,
  relu: 5,
  sigmoid: 6,
  softmax: 7,
  tanh: 8,
} as const;

export interface Operation {
  readonly kind: number;
  /** Elements of an example before and after. */
  readonly inSize: number;
  readonly outSize: number;
  /** The columns of an affine operation, the last axis of softmax. */
  readonly columns: number;
  /** The floor of an affine operation, the slope of leaky ReLU. */
  value: number;
  /** May write onto what it reads. */
  readonly inPlace: boolean;
  /** Its tensors, by place: weights and bias, or the constants of each feature. */
  readonly operands: Float64Array[];
}

/** A layer's description, as a model's file keeps it. */
export interface SavedLayer {
  readonly kind: string;
  readonly units?: number;
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
  layers: readonly SavedLayer[],
  input: readonly number[],
  valuesOf: (name: string) => ArrayLike<number>,
): Operation[] {
  const operations: Operation[] = [];
  let size = input.reduce((product, length) => product * length, 1);
  let lastAxis = input[input.length - 1] as number;
  const add = (kind: number, inPlace: boolean, value = 0, operands: Float64Array[] = []) =>
    operations.push({
      ...{ kind, inPlace, value, operands },
      ...{ inSize: size, outSize: size, columns: lastAxis },
    });

  for (const [i, { kind, units, useBias = true, eps, negativeSlope }] of layers.entries()) {
    const values = (key: string) => Float64Array.from(valuesOf(`${i}.${key}`));
    const below = operations[operations.length - 1];
    // What can still take something more upon its way out.
    const product = below?.kind === kinds.affine && below.value === -Infinity ? below : undefined;
    if (kind === "affine") {
      const columns = units as number;
      operations.push({
        kind: kinds.affine,
        inPlace: false,
        value: -Infinity,
        operands: [values("weight"), useBias ? values("bias") : new Float64Array(columns)],
        ...{ inSize: size, outSize: columns, columns },
      });
      size = columns;
      lastAxis = columns;
    } else if (kind === "batchnorm") {
      const [mean, variance, beta] = [
        values("running_mean"),
        values("running_var"),
        values("bias"),
      ];
      const factor = values("weight").map(
        (gamma, j) => gamma / Math.sqrt((variance[j] as number) + (eps as number)),
      );
      if (product) {
        const [w, b] = product.operands as [Float64Array, Float64Array];
        for (let k = 0; k < w.length; k++) (w[k] as number) *= factor[k % size] as number;
        for (let j = 0; j < size; j++) {
          b[j] =
            ((b[j] as number) - (mean[j] as number)) * (factor[j] as number) + (beta[j] as number);
        }
      } else {
        add(kinds.batchnorm, false, 0, [mean, factor, beta]);
      }
    } else if (kind === "relu") {
      if (product) product.value = 0;
      else add(kinds.relu, true);
    } else if (kind === "leakyRelu") {
      add(kinds.leakyRelu, true, negativeSlope);
    } else if (kind === "normalize") {
      add(kinds.normalize, true, 0, [values("mean"), values("std")]);
    } else if (kind === "flatten") {
      lastAxis = size;
    } else if (kind !== "dropout") {
      add(kinds[kind as keyof typeof kinds], true);
    }
  }
  // The output is a buffer of its own, so something has to write it: x where x > 0, else 1 · x.
  if (operations.length === 0) add(kinds.leakyRelu, true, 1);
  return operations;
}
