// What the command shows in terminals of any width.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasTerminals, inTerminal, linesSeen } from "../support/terminal.ts";
import { Folder, iris, program } from "./command.ts";

const folder = new Folder();
beforeAll(async () => {
  await folder.succeeding("train", iris, "--epochs", "1", "-o", "model");
});
afterAll(() => folder.remove());

const lamella = (columns: number, args: string) =>
  inTerminal(`"${process.execPath}" "${program}" ${args}`, columns, folder.path);

describe.skipIf(!hasTerminals).each([30, 40, 60, 80, 120])(
  "a terminal of %i columns",
  (columns) => {
    test("shows the epoch and the loss of a training whole, and draws no wider than it is", async () => {
      const seen = linesSeen(await lamella(columns, `train "${iris}" --epochs 30 -o trained`));
      const states = seen.filter((line) => line.includes("epoch 30/30"));
      expect(states.length).toBeGreaterThan(0);
      for (const state of states) {
        expect(state).toMatch(/epoch 30\/30 {2}loss \d\.\d{4}/);
        expect(state.length).toBeLessThanOrEqual(columns);
        if (columns >= 40) expect(state).toMatch(/ s left$/);
        if (columns >= 60) expect(state).toMatch(/^[█░]{4,} /);
      }
      const drawn = seen.filter((line) => line.includes("┤"));
      expect(drawn.length).toBeGreaterThan(8);
      expect(Math.max(...drawn.map((line) => line.length))).toBeLessThanOrEqual(columns);
    });

    test("shows a table with all its cells, in blocks where it is wider than the terminal", async () => {
      const piped = await folder.succeeding("inspect", "model");
      const cells = (text: string) => new Set(text.slice(text.indexOf("\ntensor ")).match(/\S+/g));
      const seen = linesSeen(await lamella(columns, "inspect model")).join("\n");
      const rows = seen.split("\n").filter((line) => /^(tensor|\d\.\w+) /.test(line));
      expect(Math.max(...rows.map((line) => line.length))).toBeLessThanOrEqual(columns);
      // Each block repeats the names; nothing else is there twice, and nothing is missing.
      const blocks = seen.split("\n").filter((line) => /^tensor /.test(line)).length;
      expect(blocks > 1).toBe(columns <= 80);
      expect(cells(seen)).toEqual(cells(piped));
    });

    test("breaks a name that is wider than itself, and loses nothing of it", async () => {
      const name = "encoder.".repeat(20);
      const entry = { dtype: "F32", shape: [1], data_offsets: [0, 4] };
      const header = new TextEncoder().encode(JSON.stringify({ [name]: entry }));
      const length = new Uint8Array(new BigUint64Array([BigInt(header.length)]).buffer);
      folder.write("long", Uint8Array.of(...length, ...header, 0, 0, 0, 0));
      const seen = linesSeen(await lamella(columns, "inspect long"));
      const rows = seen.filter((line) => /^(tensor|[encodr.]{2,})( |$)/.test(line));
      expect(Math.max(...rows.map((line) => line.length))).toBeLessThanOrEqual(columns);
      const parts = rows.map((line) => /^[encodr.]*/.exec(line)![0]);
      expect(parts.join("").slice(0, name.length)).toBe(name);
    });
  },
);
