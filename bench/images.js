// @ts-check
// How long do small convolutional networks take from an array of pixels to scores that JavaScript can read? And a
// train step of LeNet?

import { imageModelOf, PREDICTOR } from "./contenders/lamella.js";
import { disposeAll, field } from "./support/field.js";
import { imageNetworks, lenet } from "./support/image_networks.js";
import { momentum, Trainer } from "./support/lamella.js";
import { local, race, ratio } from "./support/measure.js";
import { uniform } from "./support/numbers.js";
import { digits, duration, printTable, spread } from "./support/table.js";

const BATCHES = [1, 32];
const TRAINED = 64;

/** @param {import("./support/field.js").Context} context */
export async function run(context) {
  const { participants, profile } = context;
  const rows = [];
  for (const work of imageNetworks) {
    const size = work.input.reduce((product, length) => product * length, 1);
    for (const batch of BATCHES) {
      const input = uniform(batch * size, 5);
      const contenders = await field(
        context,
        `${work.name}, batch ${batch}`,
        (participant) => participant.images?.(work, batch, input),
        1e-4, // float32 sums of up to 2,304 terms in another order, up to 28 layers deep
      );
      const figures = await race(contenders, profile);
      await disposeAll(contenders);
      const own = figures[PREDICTOR];
      rows.push({
        ...{ network: work.name, batch, flop: batch * work.flop },
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
  const names = participants.filter(({ images }) => images).map(({ name }) => name);
  printTable(
    "Convolutional networks, median; the rate is that of the compiled predictor",
    ["network", "batch", "MFLOP", "GFLOP/s", ...names],
    rows.map(({ network, batch, flop, seconds }) => [
      ...[network, `${batch}`, digits(flop / 1e6)],
      digits(flop / (seconds[PREDICTOR]?.median ?? Number.NaN) / 1e9),
      ...names.map((name) => duration(seconds[name]?.median)),
    ]),
  );
  const peers = names.filter((name) => name !== PREDICTOR);
  printTable(
    "How many times as long as the compiled predictor, median (quartiles) of the rounds",
    ["network", "batch", ...peers],
    rows.map(({ network, batch, timesLamella }) => [
      ...[network, `${batch}`],
      ...peers.map((name) => spread(timesLamella[name])),
    ]),
  );
  return { inference: rows, training: await trainLenet(context) };
}

/**
 * By the trainer alone: of the peers in WebAssembly none has the gradient of a convolution.
 *
 * @param {import("./support/field.js").Context} context
 */
async function trainLenet({ profile, failures }) {
  const model = imageModelOf(lenet);
  const optimizer = momentum({ learningRate: 1e-3 });
  const trainer = new Trainer(model, { loss: "softmax", optimizer });
  const x = uniform(TRAINED * 784, 6);
  const y = Int32Array.from(uniform(TRAINED, 7), (u) => Math.floor(5 * (u + 1)));
  const { loss: first } = trainer.step(x, y);
  for (let step = 0; step < 200; step++) trainer.step(x, y);
  const { loss: last } = trainer.step(x, y);
  if (!(last < first)) failures.push(`LeNet's train step: the loss went from ${first} to ${last}`);
  const name = "Lamella, Trainer";
  const { [name]: figure } = await race([{ name, time: local(() => trainer.step(x, y)) }], profile);
  trainer.dispose();
  model.dispose();
  // Forward, dx and dw take as many each; nobody asks for dx of the images.
  const [{ out, weight }] =
    /** @type {import("./support/image_networks.js").Conv & { out: number[] }[]} */ (
      /** @type {unknown} */ (lenet.layers)
    );
  const ofImages = 2 * out[0] * out[1] * /** @type {Float32Array} */ (weight).length;
  const flop = TRAINED * (3 * lenet.flop - ofImages);
  printTable(
    "A train step of LeNet, batch 64, with momentum",
    ["", "median", "best", "GFLOP/s"],
    [[name, duration(figure.median), duration(figure.best), digits(flop / figure.median / 1e9)]],
  );
  return { name, batch: TRAINED, flop, median: figure.median, best: figure.best };
}
