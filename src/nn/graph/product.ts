import type { Operand, Settings } from "./record.ts";

/** The operands of a product: its weight, and its bias or zeros in place of that. */
export const weightAndBias = (
  tensor: (name: string) => Operand,
  columns: number,
  { useBias }: Settings,
): Operand[] => [
  tensor("weight"),
  useBias ? tensor("bias") : { length: columns, values: () => new Float64Array(columns) },
];
