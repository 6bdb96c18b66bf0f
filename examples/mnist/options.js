// @ts-check
import { parseArgs } from "node:util";
import { wholeNumber } from "../support/whole_number.js";

const HELP = `Trains a network on the handwritten digits of MNIST, and shows how well it reads new ones.

Usage: node examples/mnist/index.js [options]

  --epochs N   how many times to go through the 60,000 digits (default 8)
  --seed N     of the weights, the order of the digits and dropout (default 0);
               the same seed gives the same network, to the last bit
  --help       show this
`;

/**
 * The options of the command line. Asked for help, or given what it does not know, the process
 * ends here.
 *
 * @returns {{ epochs: number, seed: number }}
 */
export function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        epochs: { type: "string", default: "8" },
        seed: { type: "string", default: "0" },
        help: { type: "boolean" },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    return {
      epochs: wholeNumber("epochs", values.epochs, 1, 1000),
      seed: wholeNumber("seed", values.seed, 0, 2 ** 32 - 1),
    };
  } catch (error) {
    console.error(`${/** @type {Error} */ (error).message}\nTry --help.`);
    process.exit(2);
  }
}
