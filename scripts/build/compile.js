// Compiles AssemblyScript in a process of its own, so that the cores are compiled side by side.
//   node scripts/build/compile.js ARGUMENT …     the arguments of asc

import { writeFileSync } from "node:fs";
import asc from "assemblyscript/asc";

const { error, stderr } = await asc.main(process.argv.slice(2), {
  writeFile(name, contents) {
    // asc's glue code is not used: it would instantiate by itself. The core's types are the only list of the ABI.
    if (/\.(wasm|map)$|\bcore\.d\.ts$/.test(name)) writeFileSync(name, contents);
  },
});
if (error) {
  console.error(stderr.toString());
  process.exit(1);
}
