// Examples for a network of any number of inputs.

import { ShapeError } from "../runtime/errors.ts";
import { type Rows, rowsOf } from "../tensor/rows.ts";
import type { Network, Plan } from "./network.ts";
import { isByName, valuesByName } from "./ports.ts";

/** The rows of all inputs of a network, as many of each. */
export class InputRows {
  constructor(
    readonly count: number,
    private readonly parts: readonly Rows[],
  ) {}

  /** Copies the rows from start to end, or those that an order has there, into a plan. */
  copyTo({ inputs }: Plan, start: number, end: number, order?: ArrayLike<number>): void {
    for (const [i, rows] of this.parts.entries()) {
      rows.copyTo((inputs[i] as Plan["input"]).data, start, end, order);
    }
  }
}

/**
 * The examples of a call: those of the one input, or an object of them by the inputs' names.
 * @throws ShapeError where inputs have other numbers of examples; as rowsOf and valuesByName
 */
export function inputRowsOf(operation: string, x: unknown, network: Network): InputRows {
  const { inputs } = network;
  const isNamed = inputs.length > 1 || isByName(x, inputs);
  const values = isNamed ? valuesByName(operation, "x", inputs, x) : [x];
  const parts = inputs.map(({ name, shape, dtype }, i) =>
    rowsOf(operation, isNamed ? `x.${name}` : "x", values[i], shape, network, dtype),
  );
  const [{ count }] = parts as [Rows];
  for (const [i, part] of parts.entries()) {
    if (part.count === count) continue;
    throw new ShapeError(
      `${operation}: x.${inputs[0]?.name} has ${count} examples but x.${inputs[i]?.name} has ${part.count}`,
    );
  }
  return new InputRows(count, parts);
}
