// @ts-check
// The site: npm run docs builds it into build/site.

import { readFileSync } from "node:fs";
import { posix } from "node:path";
import { defineConfig } from "vitepress";
import api from "../api/topics.json" with { type: "json" };

const overview = readFileSync(new URL("../layers/README.md", import.meta.url), "utf8");

/** @param {string} folder @param {...string} names "text: file" */
const items = (folder, ...names) =>
  names.map((name) => {
    const [text, file] = name.split(": ");
    return { text, link: `/${folder}${file}` };
  });

/** The pages of the layers, as the table of the overview names them. */
const layerPages = () =>
  [...overview.matchAll(/^\| \[(.+?)\]\((\w+)\.md\)/gm)]
    // A page of several rows goes by the first of them.
    .filter(([, , file], i, all) => all.findIndex((row) => row[2] === file) === i)
    .map(([, [first, ...rest], file]) => `${first.toUpperCase()}${rest.join("")}: ${file}`);

export default defineConfig({
  title: "Lamella",
  description: "Neural-network layers as a small WebAssembly core",
  lang: "en",
  outDir: "../build/site",
  srcExclude: ["node_modules/**"],
  rewrites: { "layers/README.md": "layers/index.md", "hosts/README.md": "hosts/index.md" },
  head: [["link", { rel: "icon", href: "data:," }]],
  markdown: {
    math: true,
    config(md) {
      md.core.ruler.push("links within the repository", linksWithin);
    },
  },
  vite: { server: { fs: { allow: ["../.."] } } },
  themeConfig: {
    search: { provider: "local" },
    outline: "deep",
    nav: [
      { text: "Start", link: "/start" },
      { text: "Layers", link: "/layers/" },
      { text: "API", link: "/api/" },
    ],
    sidebar: [
      {
        text: "Guide",
        items: items(
          "",
          "Five minutes: start",
          "How do I: how-to",
          "Training: training",
          "Models and graphs: models",
          "Serving: serving",
          "Models that others made: importing",
          "The command line: cli",
          "Memory and scopes: memory",
          "Files: files",
          "Threads: threads",
        ),
      },
      {
        text: "Layers",
        items: items("layers/", "Overview: ", ...layerPages(), "Checking gradients: gradients"),
      },
      {
        text: "Losses",
        items: items(
          "losses/",
          "Softmax: softmax",
          "SVM: svm",
          "Binary cross-entropy: bce",
          "Mean squared error: mse",
        ),
      },
      {
        text: "Hosts",
        items: items(
          "hosts/",
          "Overview: ",
          "Cloudflare Workers: cloudflare",
          "Deno Deploy: deno-deploy",
          "Vercel: vercel",
          "AWS Lambda: aws-lambda",
          "What was tried: table",
        ),
      },
      {
        text: "Coming from",
        items: items(
          "migrating/",
          "layers.py: layers-py",
          "TensorFlow.js: tensorflow-js",
          "PyTorch: pytorch",
        ),
      },
      {
        text: "Within",
        items: items(
          "",
          "Performance: performance",
          "Numerics: numerics",
          "Reliability: reliability",
          "Architecture: architecture",
          "The matrix product: gemm",
        ),
      },
      { text: "API", collapsed: true, items: [{ text: "By topic", link: "/api/" }, ...api] },
    ],
  },
});

/**
 * The pages are read in the repository too, where links lead to files. Here README.md is a folder's index, and what lies
 * outside docs/ is no page: such a link becomes its text, with the path as its title.
 * @param {import("markdown-it").StateCore} state
 */
function linksWithin({ tokens, env }) {
  for (const { children } of tokens) {
    const open = [];
    for (const token of children ?? []) {
      if (token.type === "link_close") {
        const { isOutside } = open.pop();
        if (isOutside) token.tag = "span";
      }
      if (token.type !== "link_open") continue;
      const href = token.attrGet("href") ?? "";
      const path = posix.join("docs", posix.dirname(env.relativePath ?? ""), href.split("#")[0]);
      const isOutside = !/^([a-z]+:|#|\/)/.test(href) && !path.startsWith("docs/");
      open.push({ isOutside });
      if (isOutside) {
        token.tag = "span";
        token.attrs = [
          ["class", "in-repository"],
          ["title", `in the repository: ${path}`],
        ];
      } else {
        token.attrSet("href", href.replace(/(^|\/)README\.md/, "$1index.md"));
      }
    }
  }
}
