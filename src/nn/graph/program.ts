// From the layers of a network to the operations that serve it.

import { sizeOf } from "../../tensor/shape.ts";
import { fuse, type Graph } from "./graph.ts";
import type { Operation, Settings } from "./record.ts";

/**
 * The operations of a network, the last of which gives its output; there are none where its output
 * is its input.
 * @param valuesOf gives the numbers of a tensor by its name, "0.weight"
 */
export function programOf(
  graph: Graph,
  valuesOf: (name: string) => ArrayLike<number>,
): Operation[] {
  const isGone = fuse(graph, true);
  const operations: Operation[] = [];
  /** For each value of the graph that of the program. */
  const values = [0];
  for (const [i, { blueprint, inputs }] of graph.nodes.entries()) {
    const { record, inShape, outShape, saved, tensors } = blueprint;
    const { kind, operation = kind, isProduct } = record;
    const settings: Settings = saved;
    const columns =
      record.columns?.(inShape, settings) ?? (outShape[outShape.length - 1] as number);
    const operands = record.operands?.(
      (name) => ({
        length: sizeOf(tensors[name] as number[]),
        values: () => valuesOf(`${i}.${name}`),
      }),
      columns,
      settings,
    );
    let x = values[inputs[0] as number] as number;
    if (isGone[i]) record.join?.(operations[x - 1] as Operation, operands ?? []);
    else {
      x = operations.push({
        ...{ kind: operation, x, isProduct, columns, operands: operands ?? [] },
        ...{ inSize: sizeOf(inShape), outSize: sizeOf(outShape) },
        values: isProduct ? [-Infinity, Infinity] : (record.values?.(settings, inShape) ?? []),
        window: (record.window ?? record.stack)?.(inShape, settings),
      });
    }
    values.push(x);
  }
  return operations;
}
