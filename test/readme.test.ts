import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
/** The blocks of JavaScript in a page, and the heading that each is under. */
const blocksOf = (page: string) =>
  [
    ...readFileSync(`${root}${page}`, "utf8").matchAll(/^(#+ .*)$|^```js\n([\s\S]*?)^```$/gm),
  ].reduce(
    ({ heading, found }, [, title, code]) => {
      if (code) found.push({ heading, code });
      return { heading: title ?? heading, found };
    },
    { heading: "", found: [] as { heading: string; code: string }[] },
  ).found;

const names = [
  "README.md",
  "docs/training.md",
  "docs/serving.md",
  "docs/threads.md",
  "docs/hosts/README.md",
];
const pages = names.map((page) => ({
  page,
  blocks: blocksOf(page),
}));
const { blocks } = pages[0]!;

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

  it.each([
    ["A network in five lines", 5],
    ["The same by hand, in thirty lines", 6],
  ])("the network under %s learns", async (heading, count) => {
    const { stdout } = await run(
      blocks.find((block) => block.heading === `## ${heading}`)?.code ?? "",
    );
    const losses = [...stdout.matchAll(/loss ([\d.]+)/g)].map((match) => Number(match[1]));
    expect(losses).toHaveLength(count);
    expect(losses.at(-1)).toBeLessThan(0.1);
  });
});

describe.each(pages)("$page", ({ blocks }) => {
  it.each(blocks)(
    "the block under $heading runs and prints what its comments say",
    async ({ code }) => {
      const { stdout } = await run(code);
      const printed = stdout.replace(/\w+Array\(\d+\) /g, "");
      for (const numbers of promised(code)) {
        expect(printed).toMatch(new RegExp(`\\[\\s*${numbers?.join(",\\s*")}\\s*\\]`));
      }
    },
  );
});
