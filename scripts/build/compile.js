// Compiles AssemblyScript in a process of its own, so that the cores are compiled side by side.
//   node scripts/build/compile.js ARGUMENT …     the arguments of asc

import { renameSync, writeFileSync } from "node:fs";
import asc from "assemblyscript/asc";
import InlineTransform from "./inline_transform.js";

const { error, stderr } = await asc.main(process.argv.slice(2), {
  transforms: [InlineTransform],
  writeFile(name, contents) {
    // asc's glue code is not used: it would instantiate by itself. The core's types are the only
    // list of the ABI.
    if (!/\.(wasm|map)$|\bcore\.d\.ts$/.test(name)) return;
    // The rename leaves no half-written file to a test that runs beside this.
    writeFileSync(`${name}.${process.pid}.tmp`, contents);
    renameSync(`${name}.${process.pid}.tmp`, name);
  },
});
if (error) {
  console.error(stderr.toString());
  process.exit(1);
}
