// Tensors that nobody disposes, in a process of their own with node --expose-gc: of what is
// published, not of the sources.

import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";

const program = `
  import { createRuntimeSync, affineForward, reluForward } from ${JSON.stringify(new URL("../../build/index.js", import.meta.url).href)};
  // A round takes some 1.6 MB: of sixty a memory of 8 MiB holds five.
  const runtime = createRuntimeSync({ maxMemory: 2 ** 23 });
  const kept = runtime.full([1000], 7);
  const before = runtime.memory;
  const forget = () => {
    const x = runtime.zeros([100, 100]);
    reluForward(x).out.reshape([-1]);
    affineForward(x, runtime.zeros([100, 100]), runtime.zeros([100]));
  };
  for (let round = 0; round < 60; round++) {
    for (let i = 0; i < 10; i++) forget();
    for (let i = 0; runtime.memory.tensors > before.tensors && i < 50; i++) {
      gc();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  const { bytesLive, tensors } = runtime.memory;
  console.log(JSON.stringify([bytesLive - before.bytesLive, tensors - before.tensors, kept.data.every((v) => v === 7)]));
`;

test("tensors and caches dropped without dispose come back through the finalizer, twelve times what the memory holds", () => {
  const output = execFileSync(
    process.execPath,
    ["--expose-gc", "--input-type=module", "--eval", program],
    { encoding: "utf8" },
  );
  expect(JSON.parse(output)).toEqual([0, 0, true]);
});
