// Arranges a compiled core so that it compresses better: each function's locals in the order in which it first uses them,
// and the functions by their types. Twins (float32 and float64, forward and backward) then read alike, which saves some
// 3 % of the bundle in brotli. What runs is the same: neither the instructions nor their order change.

import binaryen from "assemblyscript/binaryen";

/** @param {Uint8Array} bytes */
export function arrange(bytes) {
  const lines = textOf(bytes).split("\n");
  const around = [];
  const functions = [];
  for (let i = 0; i < lines.length; i++) {
    if (!lines[i].startsWith(" (func ")) {
      around.push(lines[i]);
      continue;
    }
    const end = lines.indexOf(" )", i);
    functions.push([lines[i], ...byFirstUse(lines.slice(i + 1, end)), " )"]);
    i = end;
  }
  // "(func $2 (param $0 i32) (result f64)" → "(param i32) (result f64)"
  const typeOf = ([head]) => head.replace(/^ \(func \$\S+/, "").replace(/\$\S+ /g, "");
  functions.sort((a, b) => (typeOf(a) < typeOf(b) ? -1 : typeOf(a) > typeOf(b) ? 1 : 0));
  const closing = around.lastIndexOf(")");
  const text = [...around.slice(0, closing), ...functions.flat(), ")"].join("\n");
  return bytesOf(text);
}

/** The lines of a function's body, its locals first. */
function byFirstUse(lines) {
  const isLocal = (line) => line.startsWith("  (local ");
  const body = lines.filter((line) => !isLocal(line));
  const uses = body.join("\n").matchAll(/\(local\.(?:get|set|tee) (\$\S+?)[\s)]/g);
  const order = [...new Set(Array.from(uses, ([, name]) => name))];
  const placeOf = (line) => order.indexOf(line.split(" ")[3]);
  const locals = lines.filter(isLocal).sort((a, b) => placeOf(a) - placeOf(b));
  return [...locals, ...body];
}

function textOf(bytes) {
  const module = binaryen.readBinary(bytes);
  const text = module.emitText();
  module.dispose();
  return text;
}

function bytesOf(text) {
  const module = binaryen.parseText(text);
  module.setFeatures(binaryen.Features.All);
  if (!module.validate()) throw new Error("the arranged core is no module");
  const bytes = module.emitBinary();
  module.dispose();
  return bytes;
}
