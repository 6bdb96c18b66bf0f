// How PyTorch has recurrent layers: weights (G·H, D) by the names weight_ih_l0 and the like, gates
// in an order of its own, and two biases, of which rnn and lstm have the sum.

import { partsOf, stackOf } from "../nn/graph/recurrent.ts";
import type { Network } from "../nn/network.ts";
import type { StateEntry } from "../nn/state.ts";
import { typedArrays } from "../tensor/dtype.ts";

/** The entries of a state_dict as the model has them, where its recurrent layers have theirs. */
export function recurrentEntries(network: Network, entries: readonly StateEntry[]): StateEntry[] {
  const given = new Map(entries.map((entry) => [entry.name, entry]));
  const Numbers = typedArrays[network.dtype] as Float64ArrayConstructor;
  for (const [i, { record, blueprint }] of network.layers.entries()) {
    const { torchBlocks } = record;
    const settings = blueprint.saved as { kind: string; units: number; resetAfter?: boolean };
    // PyTorch's gru is the one that resets after the product.
    if (!torchBlocks || settings.resetAfter === false) continue;
    const H = settings.units;
    const GH = torchBlocks.length * H;
    for (const { layer, isReverse, suffix } of stackOf(blueprint.inShape[1] as number, settings)) {
      const theirs = (name: string) => `${i}.${name}_l${layer}${isReverse ? "_reverse" : ""}`;
      const sources: Record<string, string[]> = {
        ...{ wx: ["weight_ih"], wh: ["weight_hh"], b: ["bias_ih"], bh: ["bias_hh"] },
        ...(settings.resetAfter === undefined && { b: ["bias_ih", "bias_hh"] }),
      };
      for (const part of partsOf(settings)) {
        const found = (sources[part] as string[]).map((name) => given.get(theirs(name)));
        const [first] = found;
        if (!first || found.includes(undefined)) continue;
        for (const name of sources[part] as string[]) given.delete(theirs(name));
        const shape = first.shape.toReversed();
        given.set(`${i}.${part}${suffix}`, {
          ...{ ...first, name: `${i}.${part}${suffix}`, shape },
          copyTo(target) {
            const D = target.length / GH;
            const copy = new Numbers(target.length);
            target.fill(0);
            for (const entry of found as StateEntry[]) {
              entry.copyTo(copy);
              for (let q = 0; q < GH; q++) {
                const from = (torchBlocks[Math.floor(q / H)] as number) * H + (q % H);
                for (let d = 0; d < D; d++) {
                  (target[d * GH + q] as number) += copy[from * D + d] as number;
                }
              }
            }
          },
        });
      }
    }
  }
  return [...given.values()];
}
