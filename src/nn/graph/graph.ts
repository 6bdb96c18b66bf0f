// A network as its layers in topological order. Each computes one value from values before it:
// value 0 is the network's input, and value i + 1 is the output of node i.

import type { Blueprint, ServingRecord } from "./record.ts";

export interface Node<Known extends ServingRecord = ServingRecord> {
  readonly blueprint: Blueprint<Known>;
  /** The values that it takes, by their numbers. */
  readonly inputs: readonly number[];
}

export interface Graph<Known extends ServingRecord = ServingRecord> {
  readonly nodes: readonly Node<Known>[];
  /** The value that the network gives. */
  readonly output: number;
}

/** Each layer takes the output of the one before it. */
export function chain<Known extends ServingRecord>(
  blueprints: readonly Blueprint<Known>[],
): Graph<Known> {
  return {
    nodes: blueprints.map((blueprint, i) => ({ blueprint, inputs: [i] })),
    output: blueprints.length,
  };
}

/**
 * The one pass of fusion, for training and serving: for each node whether it is gone. A node joins
 * the product that its input comes from where nothing else takes what is between them and the
 * product can still take something along. In serving, layers that leave their input as it is are
 * gone as well. Whoever takes the value of a node that is gone takes the node's input.
 */
export function fuse({ nodes, output }: Graph, isServing: boolean): boolean[] {
  const uses = new Array(nodes.length + 1).fill(0);
  for (const value of [...nodes.map(({ inputs }) => inputs), output].flat()) uses[value]++;
  /** For each value how many columns the product has that can take something along to it, or 0. */
  const open = [0];
  return nodes.map(({ blueprint, inputs }) => {
    const { record, inShape, outShape } = blueprint;
    const { isIdentity, isProduct, join, endsProduct, joinsTraining, tensors } = record;
    const x = inputs[0] as number;
    const columns = uses[x] === 1 ? (open[x] as number) : 0;
    // What has a number for each column joins where there are as many: not behind a flatten().
    const fits = columns > 0 && (!tensors || columns === inShape.at(-1));
    const isGone = isServing ? isIdentity || (fits && join) : fits && joinsTraining;
    if (isGone) open.push(endsProduct ? 0 : columns);
    else open.push(isProduct ? (outShape.at(-1) as number) : 0);
    return Boolean(isGone);
  });
}
