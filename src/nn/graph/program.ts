// From the layers of a network to the operations that serve it.

import { sizeOf } from "../../tensor/shape.ts";
import { copiedAxes } from "./axis.ts";
import { fuse, type Graph } from "./graph.ts";
import type { Operand, Operation, Settings } from "./record.ts";

/** What serves a network. */
export interface Program {
  readonly operations: readonly Operation[];
  /** The elements of one example of each input. */
  readonly inSizes: readonly number[];
  /** The value of each output, which no other output has, and no input. */
  readonly outputs: readonly number[];
}

/**
 * The operations of a network.
 * @param inSizes the elements of one example of each input
 * @param valuesOf gives the numbers of a tensor by its name, "0.weight"
 */
export function programOf(
  graph: Graph,
  inSizes: readonly number[],
  valuesOf: (name: string) => ArrayLike<number>,
): Program {
  const K = graph.inputs;
  const isGone = fuse(graph, true);
  const operations: Operation[] = [];
  /** For each value of the graph that of the program. */
  const values = inSizes.map((_, i) => i);
  const sizes = [...inSizes, ...graph.nodes.map(({ blueprint }) => sizeOf(blueprint.outShape))];
  const push = (operation: Operation) => K + operations.push(operation) - 1;
  /** A copy along axes, into a part of a value where it is none of its own. */
  const copy = (
    x: number,
    axes: number[],
    inSize: number,
    outSize: number,
    into?: Operation["into"],
  ) =>
    push({
      ...{ kind: "copy", xs: [x], columns: 1, operands: [], inSize, outSize },
      ...{ values: [axes.length / 3], window: axes, ...(into && { into }) },
    });
  for (const [i, { blueprint, inputs }] of graph.nodes.entries()) {
    const { record, inShape, inShapes, outShape, saved, tensors, name } = blueprint;
    const { kind, operation = kind, isProduct } = record;
    const settings: Settings = saved;
    const xs = inputs.map((value) => values[value] as number);
    const [x] = xs as [number];
    const [inSize, outSize] = [sizeOf(inShape), sizeOf(outShape)];
    const columns = record.columns?.(inShape, settings) ?? (outShape.at(-1) as number);
    const operand = (key: string): Operand => ({
      length: sizeOf(tensors[key] as number[]),
      values: () => valuesOf(`${name}.${key}`),
    });
    const operands = record.operands?.(operand, columns, settings) ?? [];
    const parts = record.parts?.(inShapes, settings);
    if (isGone[i]) {
      record.join?.(operations[x - K] as Operation, operands);
      values.push(x);
    } else if (parts) {
      let whole = -1;
      for (const [k, { axes, from }] of parts.entries()) {
        const into = whole < 0 ? undefined : { value: whole, from };
        const own = copy(xs[k] as number, axes, sizeOf(inShapes[k] as number[]), outSize, into);
        if (whole < 0) whole = own;
      }
      values.push(whole);
    } else {
      values.push(
        push({
          ...{ kind: operation, xs, isProduct, columns, operands, inSize, outSize },
          values: isProduct
            ? [-Infinity, Infinity]
            : (record.values?.(settings, inShape, inShapes) ?? []),
          window: (record.window ?? record.stack)?.(inShape, settings, inShapes),
        }),
      );
    }
  }
  // An output is a buffer of its own, also where the layers before it are gone.
  const outputs: number[] = [];
  for (const output of graph.outputs) {
    const value = values[output] as number;
    const size = sizes[output] as number;
    const isOwn = value >= K && !outputs.includes(value);
    outputs.push(isOwn ? value : copy(value, copiedAxes([size], [1]), size, size));
  }
  return { operations, inSizes, outputs };
}
