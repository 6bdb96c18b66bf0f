import { expect, test } from "vitest";
import { openCore } from "./core.ts";

test("a kernel's result is read back, from an aligned address and from any other", () => {
  const core = openCore("release");
  for (const offset of [0, 4, 1]) {
    core.reset();
    const x = core.input(Float32Array.of(-1, 2, 3), { offset });
    const out = core.output(Float32Array, 3, { offset });
    expect(out.address % 64).toBe(offset);
    core.exports.relu_forward_f32(out.address, x.address, 3);
    core.checkGuards();
    expect(out.values()).toEqual(Float32Array.of(0, 2, 3));
  }
});

test("a write past a buffer, or into an input, is told with the buffer's name", () => {
  const core = openCore("release");
  const x = core.input(Float32Array.of(1, 2, 3, 4));
  const out = core.output(Float32Array, 3, { name: "out" });
  core.exports.relu_forward_f32(out.address, x.address, 4);
  expect(() => core.checkGuards()).toThrow("out: wrote 1 bytes after its 12");

  core.reset();
  const y = core.input(Float32Array.of(-1, 2, 3, 4));
  const before = core.output(Float32Array, 3, { name: "before" });
  core.exports.relu_forward_f32(before.address - 4, y.address, 3);
  expect(() => core.checkGuards()).toThrow("before: wrote 1 bytes before it");

  core.reset();
  const z = core.input(Float32Array.of(-1, 2, 3, 4), { name: "z" });
  core.exports.relu_forward_f32(z.address, z.address, 4);
  expect(() => core.checkGuards()).toThrow("z: byte 2 of an input changed");
});

test("an access past the last bytes of the memory traps", () => {
  const core = openCore("release");
  const x = core.input(new Float32Array(5), { last: true });
  const out = core.output(Float32Array, 6);
  core.exports.relu_forward_f32(out.address, x.address, 5);
  expect(() => core.exports.relu_forward_f32(out.address, x.address, 6)).toThrow("out of bounds");
});
