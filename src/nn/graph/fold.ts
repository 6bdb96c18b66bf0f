import type { Operand, Operation } from "./record.ts";

/** A copy in float64. */
const wide = (operand: Operand) => new Float64Array(operand.values());

/**
 * Folds (x − mean) · factor + beta of each column into the product that x comes from. It is done in
 * float64: (x · w + b − mean) · f + beta is x · (w · f) + ((b − mean) · f + beta).
 */
export function fold(product: Operation, [mean, factor, beta]: readonly Operand[]): void {
  const [weight, bias] = product.operands as [Operand, Operand];
  const values = (operand: Operand | undefined) => (operand as Operand).values();
  const { length } = bias;
  product.operands = [
    {
      length: weight.length,
      values() {
        const f = values(factor);
        return wide(weight).map((w, k) => w * (f[k % length] as number));
      },
    },
    {
      length,
      values() {
        const [m, f, c] = [values(mean), values(factor), values(beta)];
        return wide(bias).map(
          (b, j) => (b - (m[j] as number)) * (f[j] as number) + (c[j] as number),
        );
      },
    },
  ];
}
