// A command in a terminal of a given width, by `script` of util-linux.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";

const script = "/usr/bin/script";

/** False where there is no such `script`, as on other systems than Linux. */
export const hasTerminals = process.platform === "linux" && existsSync(script);

/**
 * What a command writes to a terminal.
 *
 * @param command for the shell
 */
export function inTerminal(command: string, columns: number, cwd: string): Promise<string> {
  const args = ["-qec", `stty cols ${columns} rows 50; ${command}`, "/dev/null"];
  const env = { ...process.env, TERM: "xterm" };
  const child = spawn(script, args, { cwd, env, stdio: ["ignore", "pipe", "inherit"] });
  let written = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    written += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(written);
      else reject(new Error(`${command}: exit code ${code}\n${written}`));
    });
  });
}

/** The lines as they are seen: without colours, and each state of a line that is written again. */
export function linesSeen(written: string): string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  const [again, control] = [/\x1b\[\d*G|\r?\n|\r/, /\x1b(?:\[[\d;?]*[A-Za-z]|[78])/g];
  return written.split(again).map((line) => line.replace(control, ""));
}
