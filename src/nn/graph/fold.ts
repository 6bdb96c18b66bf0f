import type { Operand, Operation } from "./record.ts";

/** A copy in float64. */
const wide = (operand: Operand | undefined) => new Float64Array((operand as Operand).values());

/**
 * Folds (x − mean) · factor + beta of each column into the product that x comes from. It is done in
 * float64: (x · w + b − mean) · f + beta is x · (w · f) + ((b − mean) · f + beta).
 */
export function fold(product: Operation, operands: readonly Operand[]): void {
  // One list for any number of them, so that none calls the one before it.
  if (product.folds) {
    product.folds.push(operands);
    return;
  }
  const folds = [operands];
  product.folds = folds;
  const [weight, bias] = product.operands as [Operand, Operand];
  const { length } = bias;
  product.operands = [
    {
      length: weight.length,
      values() {
        const w = wide(weight);
        for (const [, factor] of folds) {
          const f = wide(factor);
          for (let k = 0; k < w.length; k++) w[k] = (w[k] as number) * (f[k % length] as number);
        }
        return w;
      },
    },
    {
      length,
      values() {
        const b = wide(bias);
        for (const [mean, factor, beta] of folds) {
          const [m, f, c] = [wide(mean), wide(factor), wide(beta)];
          for (let j = 0; j < length; j++) {
            b[j] = ((b[j] as number) - (m[j] as number)) * (f[j] as number) + (c[j] as number);
          }
        }
        return b;
      },
    },
  ];
}
