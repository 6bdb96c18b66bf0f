// Runs the blocks of a page, one after the other in one process, and tells what each printed and
// from which line:
//
//   node runner.js block.mjs…

import { writeSync } from "node:fs";
import { dirname, parse } from "node:path";
import { pathToFileURL } from "node:url";
import { format } from "node:util";

const files = process.argv.slice(2);
process.chdir(dirname(files[0]));
process.setSourceMapsEnabled(true); // lines are those of the page, of TypeScript too

/** @type {{ printed: { line: number, text: string }[], error?: string }[]} */
const results = [];
for (const file of files) {
  const place = new RegExp(`/${parse(file).name}\\.\\w+:(\\d+)`);
  const printed = [];
  const result = { printed };
  results.push(result);
  console.log = (...given) => {
    const line = Number(place.exec(new Error().stack ?? "")?.[1]);
    printed.push({ line, text: format(...given) });
  };
  try {
    await import(pathToFileURL(file).href);
  } catch (error) {
    result.error = error instanceof Error ? error.stack : String(error);
  }
}
writeSync(1, JSON.stringify(results));
process.exit();
