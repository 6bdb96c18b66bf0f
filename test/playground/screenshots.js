// @ts-check
// Pictures of the playground for the docs, while it trains:
//
//   node test/playground/screenshots.js URL [chromium] [folder]
//
// URL is where `npm run playground` listens. Colours are cut down to 72, as most of a picture is
// paper.

import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const root = new URL("../../", import.meta.url);
/** @type {(name: string) => any} */
const installed = createRequire(new URL("examples/playground/package.json", root));
const { default: puppeteer } = installed("puppeteer-core");
const UPNG = installed("upng-js");

const [
  url,
  executablePath = "/usr/bin/chromium",
  folder = fileURLToPath(new URL("docs/images/", root)),
] = process.argv.slice(2);
if (!url) throw new Error("which URL? `npm run playground` says it");
mkdirSync(folder, { recursive: true });

/**
 * The button that starts it, and for how many seconds.
 *
 * @type {[name: string, tab: string, width: number, colours: string, start: string, seconds:
 *   number][]}
 */
const pictures = [
  ["digits", "digits", 1280, "light", "Train", 6],
  ["digits-dark", "digits", 1280, "dark", "Train", 6],
  ["digits-narrow", "digits", 360, "light", "Train", 6],
  ["points", "points", 1280, "light", "Train", 5],
  ["points-dark-narrow", "points", 360, "dark", "Train", 5],
  ["race", "race", 1000, "light", "Start the race", 20],
  ["race-dark", "race", 1000, "dark", "Start the race", 20],
];

const browser = await puppeteer.launch({
  browser: "chrome",
  executablePath,
  headless: true,
  args: ["--no-sandbox", "--disable-gpu"],
});
try {
  for (const [name, tab, width, scheme, start, seconds] of pictures) {
    const page = await browser.newPage();
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await page.setViewport({ width, height: 800 });
    await page.goto(`${url}#${tab}`);
    if (tab === "digits") await page.waitForSelector("#digits-panel[data-state=ready]");
    const button = await page.waitForSelector(`#${tab}-panel ::-p-xpath(.//button[.="${start}"])`);
    await button.click();
    await new Promise((later) => setTimeout(later, 1000 * seconds));
    const png = await page.screenshot({ fullPage: true });
    await page.close();
    const image = UPNG.decode(png);
    const small = UPNG.encode(UPNG.toRGBA8(image), image.width, image.height, 72);
    writeFileSync(`${folder}/playground-${name}.png`, new Uint8Array(small));
    console.log(`playground-${name}.png: ${(small.byteLength / 1000).toFixed(0)} KB`);
  }
} finally {
  await browser.close();
}
