import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const readme = readFileSync(`${root}README.md`, "utf8");
const blocks = [...readme.matchAll(/^(#+ .*)$|^```js\n([\s\S]*?)^```$/gm)].reduce(
  ({ heading, found }, [, title, code]) => {
    if (code) found.push({ heading, code });
    return { heading: title ?? heading, found };
  },
  { heading: "", found: [] as { heading: string; code: string }[] },
).found;

/** Runs a block in a process of its own; "lamella" is this package, by its own exports. */
const run = async (code: string) =>
  promisify(execFile)(process.execPath, ["--input-type=module", "--eval", code], { cwd: root });

/** What a `console.log(…); // a, b` in a block promises, as the numbers that must be printed. */
const promised = (code: string) =>
  [...code.matchAll(/console\.log\(.*\);\s*\/\/ ((?:-?[\d.]+, )+-?[\d.]+)$/gm)].map((match) =>
    match[1]?.split(", ").map(Number),
  );

describe("README", () => {
  it("has a runnable block for each of the twelve calls", () => {
    const calls = ["affine", "relu", "batchnorm", "dropout"].flatMap((name) => [
      `${name}Forward`,
      `${name}Backward`,
    ]);
    for (const call of [...calls, "svmLoss", "softmaxLoss", "recalibrate", "numericalGradient"]) {
      expect(
        blocks.some(({ code }) => code.includes(`${call}(`)),
        call,
      ).toBe(true);
    }
  });

  for (const { heading, code } of blocks) {
    it(`the block under "${heading}" runs and prints what its comments say`, async () => {
      const { stdout } = await run(code);
      const printed = stdout.replace(/\w+Array\(\d+\) /g, "");
      for (const numbers of promised(code)) {
        expect(printed).toMatch(new RegExp(`\\[\\s*${numbers?.join(",\\s*")}\\s*\\]`));
      }
    });
  }

  it("the network under the second heading learns", async () => {
    const { stdout } = await run(blocks[0]?.code ?? "");
    const losses = [...stdout.matchAll(/loss ([\d.]+)/g)].map((match) => Number(match[1]));
    expect(losses).toHaveLength(6);
    expect(losses.at(-1)).toBeLessThan(0.1);
  });
});
