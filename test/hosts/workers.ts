// A bare workerd at a bundle: modules as they are, named in its configuration.

import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { packaged } from "./hosts.ts";
import { Program } from "./processes.ts";

export const workerd = packaged("workerd", "@cloudflare/workerd-linux-64", "bin/workerd");

/** Starts a bundle; the address is that of its requests. */
export async function serve(
  folder: string,
  date: string,
  flags: string[],
): Promise<{ program: Program; url: string }> {
  const modules = readdirSync(folder)
    .sort((a) => (a === "worker.js" ? -1 : 1)) // the first is the Worker
    .map((file) => {
      const kind = file.endsWith(".wasm") ? "wasm" : "esModule";
      return `(name = "${file}", ${kind} = embed "${file}")`;
    });
  const config = `
    using Workerd = import "/workerd/workerd.capnp";
    const config :Workerd.Config = (
      services = [(name = "main", worker = (
        modules = [${modules.join(", ")}],
        compatibilityDate = "${date}",
        compatibilityFlags = ${JSON.stringify(flags)},
      ))],
      sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
    );`;
  const file = join(folder, `${date}.capnp`);
  writeFileSync(file, config);
  const program = new Program(workerd.path, ["serve", "--control-fd=3", file], {
    cwd: folder,
    stdio: ["ignore", "pipe", "pipe", "pipe"],
  });
  const lines = createInterface(program.child.stdio[3] as Readable);
  const port = new Promise<number>((resolve) => {
    lines.on("line", (line) => {
      const { event, port } = JSON.parse(line);
      if (event === "listen") resolve(port);
    });
  });
  return { program, url: `http://127.0.0.1:${await program.until(port, 20)}/` };
}
