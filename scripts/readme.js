// The README of the published package. On npm a relative link leads nowhere, so that while the
// package is packed each one becomes the address of that file in the package, at a server that
// shows the files of every package; a link to a file that is not published becomes its text.
//   node scripts/readme.js              writes it in the place of README.md; `prepack` calls it
//   node scripts/readme.js --restore    puts the repository's README.md back; `postpack` calls it

import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const SAVED = "build/README.saved.md";

/** @param isPublished whether the package has this file */
export function forPackage(text, { name, version }, isPublished) {
  const base = `https://unpkg.com/${name}@${version}/`;
  return text.replace(/(!?)\[([^\]]*)\]\(([^)\s]+)\)/g, (link, image, words, target) => {
    if (/^([a-z]+:|#)/.test(target)) return link;
    if (isPublished(target.split("#")[0])) return `${image}[${words}](${base}${target})`;
    return image ? "" : words;
  });
}

/** Tells whether the manifest's `files`, in which * stands for a part of a name, have a file. */
export function isPublishedBy({ files }) {
  const patterns = files.map((file) => file.replace(/[.+]/g, "\\$&").replaceAll("*", "[^/]*"));
  const published = new RegExp(`^(${patterns.join("|")})$`);
  return (file) => published.test(file);
}

function main() {
  process.chdir(fileURLToPath(new URL("..", import.meta.url)));
  // A run that was ended between the two calls has left its README: the repository's comes back
  // first.
  if (existsSync(SAVED)) renameSync(SAVED, "README.md");
  if (process.argv.includes("--restore")) return;
  const manifest = JSON.parse(readFileSync("package.json", "utf8"));
  const text = readFileSync("README.md", "utf8");
  writeFileSync(SAVED, text);
  writeFileSync("README.md", forPackage(text, manifest, isPublishedBy(manifest)));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
