// @ts-check
import { parseArgs } from "node:util";
import { wholeNumber } from "../support/whole_number.js";

const HELP = `Serves a trained digit network from workerd, the runtime of Cloudflare Workers, until Ctrl-C.

Usage: node examples/worker/index.js [options]

  --port N          where to listen on 127.0.0.1 (default 8787; 0 for any that is free)
  --load            measure instead: first requests beside an empty Worker, then a load; then end
  --requests N      of the load (default 10000)
  --connections N   of the load (default 10)
  --help            show this
`;

/** The options of the command line. Asked for help, or given what it does not know, the process ends here. */
export function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: "string", default: "8787" },
        load: { type: "boolean", default: false },
        requests: { type: "string", default: "10000" },
        connections: { type: "string", default: "10" },
        help: { type: "boolean" },
      },
    });
    if (values.help) {
      process.stdout.write(HELP);
      process.exit(0);
    }
    return {
      load: values.load,
      port: wholeNumber("port", values.port, 0, 65535),
      requests: wholeNumber("requests", values.requests, 1, 1e7),
      connections: wholeNumber("connections", values.connections, 1, 1000),
    };
  } catch (error) {
    console.error(`${/** @type {Error} */ (error).message}\nTry --help.`);
    process.exit(2);
  }
}
