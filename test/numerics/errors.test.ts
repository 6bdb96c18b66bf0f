// docs/numerics.md states errors; here they are measured. A stated error is the measured one,
// rounded up: more is a loss of accuracy, and less than half of it a page that nobody wrote anew
// (npm run numerics).

import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { createRuntimeSync, type FloatDType } from "../../src/index.ts";
import { dtypes, hasRelaxed, openCore } from "../support/core.ts";
import { type Measure, sections } from "./measures.ts";

const page = new URL("../../docs/numerics.md", import.meta.url);
const [BEGIN, END] = ["<!-- measured by npm run numerics -->", "<!-- end of what is measured -->"];
const HEAD = "| operation | over | error relative to | float32 | relaxed | float64 | relaxed |";

const columns: { build: "strict" | "relaxed"; dtype: FloatDType }[] = dtypes.flatMap(
  ({ dtype }) => [
    { build: "strict", dtype },
    { build: "relaxed", dtype },
  ],
);
const bytes = (name: string) => readFileSync(new URL(`../../build/${name}`, import.meta.url));

/** Two digits, rounded up. */
function rounded(error: number): string {
  if (error === 0) return "0";
  const unit = 10 ** (Math.floor(Math.log10(error)) - 1);
  const up = Math.ceil(error / unit - 1e-9) * unit;
  return up >= 0.01 && up < 100 ? `${Number(up.toPrecision(2))}` : up.toExponential(1);
}

const text = readFileSync(page, "utf8");
const rowOf = (measure: Measure, cells: string[]) =>
  `| ${[measure.operation, measure.over, measure.unit, ...cells].join(" | ")} |`;
const statedOf = (measure: Measure): string[] | undefined => {
  const begin = `${rowOf(measure, [])} `;
  const line = text.split("\n").find((line) => line.startsWith(begin));
  return line
    ?.slice(begin.length, -2)
    .split(" | ")
    .map((cell) => cell.trim());
};

const writes = process.env.LAMELLA_NUMERICS === "write";
const measured = new Map<Measure, string[]>();

describe.each(columns)("$dtype, $build", ({ build, dtype }) => {
  const column = columns.findIndex((each) => each.build === build && each.dtype === dtype);
  if (build === "relaxed" && !hasRelaxed) {
    // Reporters leave out the names of skipped tests.
    console.warn(
      `the relaxed build's errors in ${dtype} are not measured: this host knows no relaxed SIMD`,
    );
    test.skip("not measured: this host knows no relaxed SIMD");
    return;
  }
  const wasm = bytes(build === "strict" ? "core.wasm" : "core.relaxed.wasm");
  const runtime = createRuntimeSync({ wasm });
  const core = openCore(build === "strict" ? "test" : "test, relaxed", 64 * 1024 * 1024);
  afterAll(() => runtime.dispose());

  const cases = Object.values(sections)
    .flat()
    .filter(({ only = dtype }) => only === dtype);
  test.each(cases.map((measure) => [`${measure.operation}, ${measure.over}`, measure] as const))(
    "%s: no more than the page states, and no less than half of it",
    (_, measure) => {
      const error = runtime.scope(() => measure.run({ runtime, core, dtype }));
      if (writes) {
        const cells = measured.get(measure) ?? columns.map(() => "–");
        cells[column] = rounded(error);
        measured.set(measure, cells);
        return;
      }
      const stated = Number(statedOf(measure)?.[column]);
      // Twins that use the host's Math.exp, and a host whose relaxed instructions are not fused,
      // differ a little.
      const slack = build === "strict" ? 1.02 : 2;
      expect(error).toBeLessThanOrEqual(stated * slack);
      if (build === "strict") expect(error).toBeGreaterThanOrEqual(stated / 2);
    },
  );
});

afterAll(() => {
  if (!writes) return;
  if (!hasRelaxed)
    throw new Error("npm run numerics needs a Node that knows relaxed SIMD: 22 or newer");
  const tables = Object.entries(sections).map(([name, list]) => {
    const rows = list.map((measure) => rowOf(measure, measured.get(measure)!));
    return [`### ${name}`, "", HEAD, "| --- | --- | --- | --- | --- | --- | --- |", ...rows].join(
      "\n",
    );
  });
  const [before, rest] = text.split(BEGIN);
  writeFileSync(
    page,
    `${before}${BEGIN}\n\n${tables.join("\n\n")}\n\n${END}${rest!.split(END)[1]}`,
  );
});
