import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { readSafetensors } from "../../src/index.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

test("the tabular example learns, saves, reloads and predicts", async () => {
  const folder = mkdtempSync(join(tmpdir(), "lamella-tabular-"));
  const file = join(folder, "model.safetensors");
  try {
    const run = promisify(execFile)(process.execPath, ["examples/tabular/index.js", file], {
      cwd: root,
    });
    const { stdout, stderr } = await run;
    expect(stderr).toBe("");
    expect(stdout).toContain("131 parameters");
    const [, share] = /([\d.]+) % of 30 flowers/.exec(stdout) ?? [];
    expect(Number(share)).toBeGreaterThan(90);
    expect(stdout.match(/cm: (\w+) \(is \1\)/g)).toHaveLength(3);
    // The normalisation is in the file.
    expect([...readSafetensors(readFileSync(file)).tensors.keys()]).toContain("0.mean");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the tabular example writes its network over no table", async () => {
  const folder = mkdtempSync(join(tmpdir(), "lamella-tabular-"));
  const table = join(folder, "table.csv");
  try {
    writeFileSync(table, "a,b\n1,2\n");
    const run = promisify(execFile)(process.execPath, ["examples/tabular/index.js", table], {
      cwd: root,
    });
    await expect(run).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining("expected the name of a .safetensors file"),
    });
    expect(readFileSync(table, "utf8")).toBe("a,b\n1,2\n");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
