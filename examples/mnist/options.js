// @ts-check
import { parseArgs } from "node:util";
import { wholeNumber } from "../support/whole_number.js";

const HELP = `Trains a network on the handwritten digits of MNIST, and shows how well it reads new ones.

Usage: node examples/mnist/index.js [options]

  --network NAME   mlp (default): two hidden layers; cnn: two convolutions of 5 × 5, on as many
                   threads as there are cores, written to build/mnist-cnn.safetensors and read
                   from there
  --epochs N       how many times to go through the 60,000 digits (default 8)
  --seed N         of the weights, the order of the digits, their shifts and dropout (default 0);
                   the same seed gives the same network, to the last bit
  --help           show this
`;

const NETWORKS = /** @type {const} */ (["mlp", "cnn"]);

/**
 * The options of the command line. Asked for help, or given what it does not know, the process
 * ends here.
 *
 * @returns {{ network: (typeof NETWORKS)[number], epochs: number, seed: number }}
 */
export function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        network: { type: "string", default: "mlp" },
        epochs: { type: "string", default: "8" },
        seed: { type: "string", default: "0" },
        help: { type: "boolean" },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    const network = NETWORKS.find((name) => name === values.network);
    if (!network) {
      throw new Error(`--network takes ${NETWORKS.join(" or ")}, got "${values.network}"`);
    }
    return {
      network,
      epochs: wholeNumber("epochs", values.epochs, 1, 1000),
      seed: wholeNumber("seed", values.seed, 0, 2 ** 32 - 1),
    };
  } catch (error) {
    console.error(`${/** @type {Error} */ (error).message}\nTry --help.`);
    process.exit(2);
  }
}
