// Where the values of a network stand: as few places as their lives allow.

import { sizeOf } from "../../tensor/shape.ts";
import type { Graph, Node } from "./graph.ts";
import type { LayerRecord } from "./record.ts";

/** A value's life: the moment at which it is written, and the last at which it is read. */
export interface Life {
  readonly size: number;
  readonly from: number;
  readonly until: number;
  /** The value in whose place it is written, or −1. */
  readonly onto: number;
}

export interface Places {
  /** For each value its place, and for each place its size. */
  readonly placeOf: readonly number[];
  readonly sizes: readonly number[];
}

/**
 * Gives each value a place that no other needs while it lives: the first that is free, which grows
 * to its size, or one more. The values come in the order in which they are written.
 */
export function placesOf(lives: readonly Life[]): Places {
  const placeOf: number[] = [];
  const sizes: number[] = [];
  const until: number[] = [];
  /** The places that will be free again. */
  const lent = new Set<number>();
  const firstFree = (from: number) => {
    for (const place of lent) if ((until[place] as number) < from) return place;
    return sizes.length;
  };
  for (const { size, from, until: end, onto } of lives) {
    const place = placeOf[onto] ?? firstFree(from);
    placeOf.push(place);
    sizes[place] = Math.max(sizes[place] ?? 0, size);
    until[place] = Math.max(until[place] ?? 0, end);
    if (until[place] === Infinity) lent.delete(place);
    else lent.add(place);
  }
  return { placeOf, sizes };
}

/** The places of a network that trains. */
export interface TrainingPlaces {
  /** For each value its place. */
  readonly values: readonly number[];
  /**
   * For each value that of its gradient, and −1 for an input of the network, whose gradient is the
   * caller's.
   */
  readonly gradients: readonly number[];
  /**
   * For each node and input where the node writes a gradient that another has begun, and to which
   * it is added then; −1 where the node is the first.
   */
  readonly scratch: readonly (readonly number[])[];
  /** The elements of one example that each place holds. */
  readonly sizes: readonly number[];
}

/**
 * Plans a forward pass over a graph, and a backward pass that can be made any number of times: what
 * a backward pass reads keeps its place for good, and the rest shares what is left. The inputs are
 * there at the moment 0. Node i runs at the moment i + 1, and backward at 2n + 1 − i of n nodes;
 * the gradients of the outputs are there at n + 1.
 *
 * @param inSizes the elements of one example of each input
 */
export function trainingPlaces(
  { inputs: K, nodes, outputs }: Graph<LayerRecord>,
  inSizes: readonly number[],
): TrainingPlaces {
  const n = nodes.length;
  const sizes = [...inSizes, ...nodes.map(({ blueprint }) => sizeOf(blueprint.outShape))];
  const written = sizes.map((_, value) => Math.max(0, value - K + 1));
  // For each value the last moment at which its numbers are read, and the last at which only its
  // sign is.
  const exact = written.slice();
  const sign = written.slice();
  for (const value of outputs) exact[value] = Infinity;
  for (const [i, { blueprint, inputs }] of nodes.entries()) {
    const { keeps } = blueprint.record;
    for (const value of inputs) {
      exact[value] = Math.max(exact[value] as number, keeps === "x" ? Infinity : i + 1);
    }
    if (keeps === "out") exact[K + i] = Infinity;
    if (keeps === "sign") sign[K + i] = Infinity;
  }
  const lives: Life[] = [];
  const live = (size: number, from: number, until: number, onto: number) =>
    lives.push({ size, from, until, onto }) - 1;
  for (const [value, size] of sizes.entries()) {
    const now = written[value] as number;
    const node = nodes[value - K];
    let onto = -1;
    if (node?.blueprint.record.inPlace && node.inputs.length === 1) {
      const x = node.inputs[0] as number;
      const keepsSign = (sign[x] as number) <= now || node.blueprint.record.keepsSign;
      if ((exact[x] as number) <= now && keepsSign) {
        onto = x;
        sign[value] = Math.max(sign[value] as number, sign[x] as number);
      }
    }
    live(size, now, Math.max(exact[value] as number, sign[value] as number), onto);
  }
  // Gradients, in the order in which they are written; each is read by the node of its value.
  const read = (value: number) => 2 * n + 1 - (value - K);
  const gradients = sizes.map(() => -1);
  const scratch: number[][] = nodes.map(() => []);
  const isBegun = sizes.map((_, value) => outputs.includes(value));
  for (const value of outputs) {
    gradients[value] = live(sizes[value] as number, n + 1, read(value), -1);
  }
  for (let i = n - 1; i >= 0; i--) {
    const { blueprint, inputs } = nodes[i] as Node<LayerRecord>;
    const now = 2 * n + 1 - i;
    for (const value of inputs) {
      const size = sizes[value] as number;
      let own = -1;
      if (isBegun[value]) {
        own = live(size, now, now, -1);
      } else if (value >= K) {
        const { apartGradient } = blueprint.record;
        const isOnto = !apartGradient && inputs.length === 1 && size === sizes[K + i];
        const onto = isOnto ? (gradients[K + i] as number) : -1;
        gradients[value] = live(size, now, read(value), onto);
      }
      isBegun[value] = true;
      (scratch[i] as number[]).push(own);
    }
  }
  const { placeOf, sizes: wide } = placesOf(lives);
  const place = (life: number) => (life < 0 ? -1 : (placeOf[life] as number));
  return {
    values: placeOf.slice(0, K + n),
    gradients: gradients.map(place),
    scratch: scratch.map((lives) => lives.map(place)),
    sizes: wide,
  };
}
