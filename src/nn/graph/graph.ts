// A network as its layers in topological order. Each computes one value from values before it:
// values 0 to K − 1 are the network's K inputs, and value K + i is the output of node i.

import type { Blueprint, ServingRecord } from "./record.ts";

export interface Node<Known extends ServingRecord = ServingRecord> {
  readonly blueprint: Blueprint<Known>;
  /** The values that it takes, by their numbers. */
  readonly inputs: readonly number[];
}

export interface Graph<Known extends ServingRecord = ServingRecord> {
  /** K, how many inputs the network has. */
  readonly inputs: number;
  readonly nodes: readonly Node<Known>[];
  /** The values that the network gives, each of which a node computes. */
  readonly outputs: readonly number[];
}

/**
 * The one pass of fusion, for training and serving: for each node whether it is gone. A node joins
 * the product that its input comes from where nothing else takes what is between them and the
 * product can still take something along. In serving, layers that leave their input as it is are
 * gone as well. Whoever takes the value of a node that is gone takes the node's input.
 */
export function fuse({ inputs: K, nodes, outputs }: Graph, isServing: boolean): boolean[] {
  const uses: number[] = new Array(K + nodes.length).fill(0);
  for (const value of [...nodes.flatMap(({ inputs }) => inputs), ...outputs]) {
    uses[value] = (uses[value] as number) + 1;
  }
  /** For each value how many columns the product has that can take something along to it, or 0. */
  const open: number[] = new Array(K).fill(0);
  return nodes.map(({ blueprint, inputs }) => {
    const { record, inShape, outShape } = blueprint;
    const { isIdentity, isProduct, join, endsProduct, joinsTraining, tensors } = record;
    const x = inputs[0] as number;
    const columns = inputs.length === 1 && uses[x] === 1 ? (open[x] as number) : 0;
    // What has a number for each column joins where there are as many: not behind a flatten().
    const fits = columns > 0 && (!tensors || columns === inShape.at(-1));
    const isGone = isServing ? isIdentity || (fits && join) : fits && joinsTraining;
    if (isGone) open.push(endsProduct ? 0 : columns);
    else open.push(isProduct ? (outShape.at(-1) as number) : 0);
    return Boolean(isGone);
  });
}
