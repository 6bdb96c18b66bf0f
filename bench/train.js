// @ts-check
// How long does a train step take: forward, mean softmax loss, backward, SGD with momentum?

import { RELAXED, TWO_THREADS } from "./contenders/lamella.js";
import { disposeAll, field } from "./support/field.js";
import { race, ratio } from "./support/measure.js";
import { trainingOf } from "./support/networks.js";
import { duration, printTable, spread } from "./support/table.js";

const SIZES = [784, 512, 256, 10];
const BATCH = 128;
const CHECKED_STEPS = 3;

/** @param {import("./support/field.js").Context} context */
export async function run(context) {
  const work = trainingOf(SIZES, BATCH);
  const before = work.weights.flatMap((w, i) => [...w, ...work.biases[i]]);
  const contenders = await field(
    context,
    "train",
    (participant) => participant.training?.(work),
    2e-3, // a few units in the last place of a weight beside what three steps change of it
    async (contender) => {
      await contender.time(CHECKED_STEPS);
      return (await contender.result()).map((value, i) => value - before[i]);
    },
  );
  const figures = await race(contenders, context.profile);
  await disposeAll(contenders);
  const rows = contenders.map(({ name }) => ({
    name,
    median: figures[name].median,
    best: figures[name].best,
    timesLamella: figures.Lamella && ratio(figures[name], figures.Lamella),
  }));
  printTable(
    `A train step of ${SIZES.join("-")}, batch ${BATCH}; ONNX Runtime's JavaScript packages and jax-js take no part`,
    ["", "median", "best", "times Lamella"],
    rows.map(({ name, median, best, timesLamella }) => [
      name,
      duration(median),
      duration(best),
      spread(timesLamella),
    ]),
  );
  const numpy = figures["NumPy, AVX2"] ?? figures.NumPy;
  const relaxed = figures[RELAXED];
  const relaxedTimesNumpy = numpy && relaxed && ratio(relaxed, numpy);
  const threads = figures[TWO_THREADS];
  const threadsTimesNumpy = numpy && threads && ratio(threads, numpy);
  return { network: SIZES.join("-"), batch: BATCH, rows, relaxedTimesNumpy, threadsTimesNumpy };
}
