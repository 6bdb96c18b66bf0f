// @ts-check
// How long does a small network take from an array of inputs to scores that JavaScript can read?

import { PREDICTOR } from "./contenders/lamella.js";
import { disposeAll, field } from "./support/field.js";
import { race, ratio } from "./support/measure.js";
import { networkOf } from "./support/networks.js";
import { uniform } from "./support/numbers.js";
import { duration, printTable, spread } from "./support/table.js";

const NETWORKS = [
  [64, 32, 16, 4],
  [784, 128, 10],
  [784, 512, 256, 10],
];
const BATCHES = [1, 8, 128];

/** @param {import("./support/field.js").Context} context */
export async function run(context) {
  const { participants, profile } = context;
  const rows = [];
  for (const sizes of NETWORKS) {
    for (const batch of BATCHES) {
      const work = networkOf(sizes, batch);
      const input = uniform(batch * sizes[0], 4);
      const contenders = await field(
        context,
        `mlp ${sizes.join("-")}, batch ${batch}`,
        (participant) => participant.network?.(work, input),
        1e-5, // float32 sums of up to 784 terms in another order, three layers deep
      );
      const figures = await race(contenders, profile);
      await disposeAll(contenders);
      const own = figures[PREDICTOR];
      rows.push({
        network: sizes.join("-"),
        batch,
        seconds: Object.fromEntries(
          contenders.map(({ name }) => {
            const { median, best } = figures[name];
            return [name, { median, best }];
          }),
        ),
        timesLamella: Object.fromEntries(
          own ? contenders.map(({ name }) => [name, ratio(figures[name], own)]) : [],
        ),
      });
    }
  }
  const names = participants.filter(({ network }) => network).map(({ name }) => name);
  printTable(
    "Inference with ReLU between the layers, median",
    ["network", "batch", ...names],
    rows.map(({ network, batch, seconds }) => [
      network,
      `${batch}`,
      ...names.map((name) => duration(seconds[name]?.median)),
    ]),
  );
  const peers = names.filter((name) => name !== PREDICTOR);
  printTable(
    "How many times as long as the compiled predictor, median (quartiles) of the rounds",
    ["network", "batch", ...peers],
    rows.map(({ network, batch, timesLamella }) => [
      network,
      `${batch}`,
      ...peers.map((name) => spread(timesLamella[name])),
    ]),
  );
  return rows;
}
