// The system's Chromium, without a window, at a page of ours.

import { accessSync, constants, mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { expect, test } from "vitest";
import { run } from "../package/installed.ts";

function findProgram(...names: string[]): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter);
  return names
    .flatMap((name) => folders.map((folder) => join(folder, name)))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

const chromium = findProgram("chromium", "chromium-browser");
const flags = [
  "--headless",
  "--no-sandbox", // root has none
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  "--virtual-time-budget=30000",
  "--dump-dom",
];

/** The document at an address, as text, once the page has come to rest. */
export async function documentAt(url: string): Promise<string> {
  expect(chromium, "chromium on the PATH, which CI must have").toBeDefined();
  const profile = mkdtempSync(join(tmpdir(), "lamella-chromium-"));
  try {
    const { stdout } = await run(chromium!, [...flags, `--user-data-dir=${profile}`, url], profile);
    return stdout;
  } finally {
    await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

/**
 * Declares tests that open pages; without Chromium they are skipped in so many words, and fail in
 * CI.
 */
export function withChromium(name: string, declare: () => void): void {
  if (chromium || process.env.CI) {
    declare();
    return;
  }
  const message = `${name}, skipped: no chromium on the PATH`;
  // Reporters leave out the names of skipped tests.
  console.warn(message);
  test.skip(message);
}
