// The pages that people read, taken apart: their blocks of code, links, and the anchors of their
// headings.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));

/** A fenced block of a page. */
export interface Block {
  /** Of its first line of code, from 1 up. */
  line: number;
  /** The heading that it is under. */
  heading: string;
  /** What stands after the fence; empty for plain text. */
  language: string;
  code: string;
  /** What a comment above it says: who else runs it, or why nobody does. */
  marker?: { kind: "run by" | "not run"; text: string };
}

export interface Page {
  /** The path from the root. */
  page: string;
  text: string;
  blocks: Block[];
}

function blocksOf(text: string): Block[] {
  const blocks: Block[] = [];
  const whole = /^<!-- all blocks (run by|not run:) (.*?) -->$/m.exec(text);
  let heading = "";
  let open: (Block & { fence: string }) | undefined;
  let marker = markerFrom(whole);
  for (const [i, line] of text.split("\n").entries()) {
    if (open) {
      if (line === open.fence) {
        const { fence: _, ...block } = open;
        blocks.push(block);
        open = undefined;
        marker = markerFrom(whole);
      } else open.code += `${line}\n`;
      continue;
    }
    const [, fence, language] = /^(```+)(\w*)/.exec(line) ?? [];
    if (fence) {
      open = { fence, line: i + 2, heading, language: language ?? "", code: "" };
      if (marker) open.marker = marker;
    } else if (/^#+ /.test(line)) heading = line;
    else if (line.startsWith("<!--")) {
      marker = markerFrom(/^<!-- (run by|not run:) (.*?) -->$/.exec(line)) ?? marker;
    }
  }
  if (open) throw new Error(`a block without an end, from line ${open.line}`);
  return blocks;
}

function markerFrom(match: RegExpExecArray | null): Block["marker"] {
  if (!match) return undefined;
  return { kind: match[1] === "run by" ? "run by" : "not run", text: match[2]! };
}

/** Markdown below a folder, but for what is installed or generated there. */
function pagesIn(folder: string): string[] {
  return readdirSync(`${root}${folder}`, { withFileTypes: true })
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        const isOurs = entry.name !== "node_modules" && !entry.name.startsWith(".");
        return isOurs && path !== "docs/api" ? pagesIn(path) : [];
      }
      return path.endsWith(".md") ? [path] : [];
    })
    .sort();
}

export const pages: Page[] = [
  "README.md",
  "CONTRIBUTING.md",
  ...pagesIn("docs"),
  ...pagesIn("examples"),
].map((page) => {
  const text = readFileSync(`${root}${page}`, "utf8");
  return { page, text, blocks: blocksOf(text) };
});

/** The text of a page without its blocks and its code in line. */
function prose(text: string): string {
  return text.replace(/^(```+)[\s\S]*?^\1$/gm, "").replace(/`[^`\n]*`/g, "``");
}

/** Where the links and images of a page lead, but for those to other hosts. */
export function linksOf({ text }: Page): string[] {
  return [...prose(text).matchAll(/\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"/g)]
    .map(([, link, attribute]) => (link ?? attribute)!)
    .filter((link) => !/^[a-z]+:/.test(link));
}

/** The anchors of a page's headings, as GitHub makes them. */
export function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, title] of text.replace(/^(```+)[\s\S]*?^\1$/gm, "").matchAll(/^#+ (.*)$/gm)) {
    const anchor = title!
      .toLowerCase()
      .replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replace(/\s/g, "-");
    let unique = anchor;
    for (let n = 1; anchors.has(unique); n++) unique = `${anchor}-${n}`;
    anchors.add(unique);
  }
  return anchors;
}

/** What is wrong with a link of a page, or undefined. */
export function brokenLink({ page, text }: Page, link: string): string | undefined {
  const [path, anchor] = link.split("#") as [string, string?];
  const target = path === "" ? page : posix.join(posix.dirname(page), path);
  if (target.startsWith("..")) return `${link} leads out of the repository`;
  if (!existsSync(`${root}${target}`)) return `${link}: there is no ${target}`;
  if (anchor === undefined) return undefined;
  const there = path === "" ? text : readFileSync(`${root}${target}`, "utf8");
  return anchorsOf(there).has(anchor) ? undefined : `${link}: ${target} has no such heading`;
}
