// @ts-check
import { parseArgs } from "node:util";
import { wholeNumber } from "../support/whole_number.js";

const HELP = `Serves the playground on 127.0.0.1 until Ctrl-C: networks that train in your browser.

Usage: npm run playground -- [options]

  --port N   where to listen (default 8231; 0 for any that is free)
  --help     show this
`;

/** The options of the command line. Asked for help, or given what it does not know, the process ends here. */
export function readOptions() {
  try {
    const { values } = parseArgs({
      options: { port: { type: "string", default: "8231" }, help: { type: "boolean" } },
    });
    if (values.help) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    return { port: wholeNumber("port", values.port, 0, 65535) };
  } catch (error) {
    console.error(`${/** @type {Error} */ (error).message}\nTry --help.`);
    process.exit(2);
  }
}
