// The runtimes that read the package from node_modules by themselves.

import { packaged } from "./hosts.ts";

export const nodes = ["20", "26"].map((major) =>
  packaged(`Node ${major}`, `node${major}`, "bin/node"),
);
export const deno = packaged("Deno", "@deno/linux-x64-glibc", "deno");
/** Its environment, so that it prints nothing of its own. */
export const quiet = { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" };
export const bun = packaged("Bun", "@oven/bun-linux-x64-baseline", "bin/bun");
