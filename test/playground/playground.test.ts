// The playground, used by its command in Chromium and Firefox as people use it.

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Browser, ElementHandle } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { chromium, firefox } from "../hosts/pages.ts";
import type { Program } from "../hosts/processes.ts";
import { startBrowser, startPlayground, Visitor } from "./visitor.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
let url = "";
let command: Program | undefined;

beforeAll(async () => {
  ({ url, program: command } = await startPlayground());
});
afterAll(() => command?.end());

/** Runs a module in a process of its own; "lamella" is this package, by its own exports. */
async function runModule(code: string): Promise<string> {
  const args = ["--input-type=module", "--eval", code];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: root,
    maxBuffer: 1e8,
  });
  return stdout;
}

describe.each([chromium, firefox])("in $name", ({ name, path, missing }) => {
  if (missing && !process.env.CI) {
    const message = `not run: ${missing}`;
    // Reporters leave out the names of skipped tests.
    console.warn(`test/playground/playground.test.ts: ${message}`);
    test.skip(message);
    return;
  }
  let browser: Browser;
  let end: (() => Promise<void>) | undefined;
  let visitor: Visitor;

  beforeAll(async () => {
    expect(missing, "which CI must have").toBeUndefined();
    ({ browser, end } = await startBrowser(name, path));
  });
  afterAll(() => end?.());
  afterEach(async () => {
    expect(visitor.troubles).toEqual([]);
    await visitor.close();
  });

  const open = async (tab: string, options = {}) => {
    visitor = await Visitor.at(browser, url, tab, options);
    return visitor;
  };

  test("digits: it learns to read nine in ten, draws meanwhile, and what is drawn is read", async () => {
    const { page } = await open("digits");
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    expect(await visitor.text("#runtime")).toMatch(/^strict core, \d+ threads?, page isolated$/);

    // Before it has learned anything, a network of this seed takes a 0 for something else.
    await visitor.draw([0.5, 0.2], [0.3, 0.5], [0.5, 0.8], [0.7, 0.5], [0.5, 0.2]);
    await visitor.until("scores", async () => (await visitor.best()) !== undefined);
    const untrained = await visitor.text(".scores");

    await visitor.press("Train");
    const frames = await visitor.frames();
    console.info(`${name}: ${frames.toFixed(1)} frames a second while it trains`);
    await visitor.until(
      "90 % read right",
      async () => (await visitor.figure("#digits-panel", "accuracy")) > 90,
    );
    await visitor.until("a 0 is read", async () => (await visitor.best()) === "0");
    const trained = await visitor.text(".scores");
    expect(trained).not.toBe(untrained);
    // Another digit, while the training goes on.
    await visitor.press("Clear");
    await visitor.draw([0.5, 0.15], [0.5, 0.85]);
    await visitor.until("a 1 is read", async () => (await visitor.best()) === "1");

    expect(await visitor.figure("#digits-panel", "speed")).toBeGreaterThan(0);
    await visitor.press("Pause");
    const steps = await visitor.figure("#digits-panel", "steps");
    expect(steps).toBeGreaterThan(100);
    const rows = await page.$$eval(".confusion tbody tr", (rows) =>
      rows.map((row) => [...row.querySelectorAll("td")].map((cell) => Number(cell.textContent))),
    );
    const total = rows.flat().reduce((a, b) => a + b);
    expect(total).toBe(2000);
    const right = rows.reduce((sum, row, digit) => sum + row[digit]!, 0);
    expect(right / total).toBeGreaterThan(0.9);
    // Pictures of 64 units, and curves with ink on them.
    const inks = await page.$$eval(".weights, #digits-curves canvas, .histograms canvas", (all) =>
      (all as HTMLCanvasElement[]).map((canvas) => {
        const { width, height } = canvas;
        const { data } = canvas.getContext("2d")!.getImageData(0, 0, width, height);
        return new Set(new Uint32Array(data.buffer)).size;
      }),
    );
    expect(inks).toHaveLength(1 + 2 + 2 * 5);
    expect(Math.min(...inks)).toBeGreaterThan(2);
  });

  test("digits: the copied code trains to the bits that the page saves, and the page loads them back", async () => {
    const { page } = await open("digits");
    if (name === "Chromium") {
      await browser
        .defaultBrowserContext()
        .overridePermissions(url, ["clipboard-read", "clipboard-write"]);
    }
    await visitor.set("Batch size", "32");
    for (let step = 1; step <= 5; step++) {
      await visitor.press("Step");
      await visitor.until(
        "a step",
        async () => (await visitor.figure("#digits-panel", "steps")) === step,
      );
    }
    const saved = await visitor.saved();
    const code = await visitor.copied();
    const ours = await runModule(`${code}
      import { saveModel } from "lamella";
      import { readMnist } from "./examples/support/idx.js";
      const { images, labels } = readMnist().train;
      const data = { x: images.subarray(0, 20_000 * 784), y: labels.subarray(0, 20_000) };
      let steps = 0;
      for await (const event of trainer.fit(data, { epochs: 1, batchSize: 32 })) if (++steps === 5) break;
      console.log("saved " + Buffer.from(saveModel(model)).toString("base64"));
      await train(data.x, data.y, 1);`);
    expect(/saved (.*)/.exec(ours)?.[1]).toBe(saved);
    expect(ours).toMatch(/^1 [\d.]+ [\d.]+$/m); // the epoch that its own function goes on with

    const folder = mkdtempSync(join(tmpdir(), "lamella-playground-"));
    const [good, bad] = ["good", "bad"].map((name) => join(folder, `${name}.safetensors`));
    writeFileSync(good!, Buffer.from(saved, "base64"));
    writeFileSync(bad!, "no model");
    await visitor.press("Reset");
    await visitor.until("a reset", async () => (await visitor.saved()) !== saved);
    const input = (await page.$("input[type=file]")) as ElementHandle<HTMLInputElement>;
    await input.uploadFile(bad!);
    await visitor.until("a refusal", async () =>
      (await visitor.text("#digits-file")).includes(
        "cannot be loaded. loadModel: expected a header",
      ),
    );
    expect(await visitor.saved()).not.toBe(saved);
    await input.uploadFile(good!);
    await visitor.until("the file's weights", async () => (await visitor.saved()) === saved);
    rmSync(folder, { recursive: true });

    // Dropped on the page, the same.
    await visitor.press("Reset");
    await visitor.until("a reset", async () => (await visitor.saved()) !== saved);
    await page.evaluate((text) => {
      const dataTransfer = new DataTransfer();
      const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      dataTransfer.items.add(new File([bytes], "digits.safetensors"));
      const event = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
      document.querySelector("#digits-panel h2")!.dispatchEvent(event);
    }, saved);
    await visitor.until("the dropped weights", async () => (await visitor.saved()) === saved);
  });

  test("digits: layers of all kinds are added, moved and removed, and what cannot be is said", async () => {
    await open("digits");
    const status = () => visitor.text("#digits-network .status");
    await visitor.until("a network", async () => (await status()) === "50,954 parameters");
    await visitor.set("Units of layer 4", "12");
    await visitor.until("a refusal", async () => (await status()).includes("12 scores"));
    await visitor.set("Units of layer 4", "10");
    await visitor.until("a network", async () => (await status()) === "50,954 parameters");

    const kinds = ["dropout", "leakyRelu", "tanh", "sigmoid", "gelu", "normalize"];
    for (const [i, kind] of kinds.entries()) {
      await visitor.press("Add a layer");
      await visitor.set(`Kind of layer ${4 + i}`, kind);
    }
    await visitor.set("Probability of dropping of layer 4", "1");
    await visitor.until("a refusal", async () =>
      (await status()).includes("layer 4 (dropout): p must be in [0, 1), got 1"),
    );
    expect(
      await visitor.page.$$eval(".layers li", (rows) =>
        rows.findIndex((row) => row.classList.contains("problem")),
      ),
    ).toBe(4);
    await visitor.set("Probability of dropping of layer 4", "0.5");
    await visitor.press("Move layer 4 down");
    await visitor.press("Remove layer 0");
    await visitor.set("Loss", "svm");
    await visitor.set("Optimizer", "momentum");
    await visitor.press("Step");
    await visitor.until(
      "a step",
      async () => (await visitor.figure("#digits-panel", "steps")) === 1,
    );
    const captions = await visitor.page.$$eval(".histograms figcaption", (all) =>
      all.map((caption) => caption.textContent),
    );
    const chain = "affine batchnorm relu leakyRelu dropout tanh sigmoid gelu normalize affine";
    expect(captions).toEqual(
      chain
        .split(" ")
        .flatMap((kind, i) => [`${i} ${kind}: activations`, `${i} ${kind}: gradients`]),
    );
  });

  test("digits: a pool of two threads takes over, and other settings, while it trains", async () => {
    await open("digits");
    await visitor.press("Train");
    const steps = () => visitor.figure("#digits-panel", "steps");
    await visitor.until("steps", async () => (await steps()) > 20);
    await visitor.set("Threads", "2");
    await visitor.until("two threads", async () =>
      (await visitor.text("#runtime")).includes("2 threads"),
    );
    const before = await steps();
    await visitor.set("Learning rate", "0.0005");
    await visitor.until("more steps", async () => (await steps()) > before + 20);
    // Another seed is another network, from the first step on.
    await visitor.press("Pause");
    await visitor.set("Seed", "7");
    await visitor.press("Step");
    await visitor.until("the first step", async () => (await steps()) === 1);
  });

  test("points: every set is learned, and the boundary is where the points are", async () => {
    const { page } = await open("points");
    const accuracy = () => visitor.figure("#points-panel", "accuracy");
    await visitor.set("Pace", "Infinity");
    await visitor.press("Train");
    for (const set of ["spirals", "threeSpirals", "clusters", "moons", "xor", "circles"]) {
      await visitor.set("Points", set);
      await visitor.press("Reset");
      await visitor.until(`${set}: 95 % right`, async () => (await accuracy()) > 95);
    }
    // Blue in the middle of the circles, orange around them: colours of the plane where there are
    // no points. The corners, where no point is, come later than the points.
    const colours = () =>
      page.$eval(".plane", (canvas) => {
        const context = (canvas as HTMLCanvasElement).getContext("2d")!;
        const at = (x: number, y: number) => [...context.getImageData(x, y, 1, 1).data];
        return { middle: at(240, 240), corner: at(4, 476) };
      });
    await visitor.until("blue in the middle, orange in a corner", async () => {
      const { middle, corner } = await colours();
      return middle[2]! > middle[0]! && corner[0]! > corner[2]!;
    });

    await visitor.press("Pause");
    await visitor.until("300 points", async () =>
      (await visitor.text("#points-data")).includes("300 points"),
    );
    await page.click(".plane");
    await visitor.until("one more", async () =>
      (await visitor.text("#points-data")).includes("301 points"),
    );
    await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("Enter");
    await visitor.until("one more", async () =>
      (await visitor.text("#points-data")).includes("302 points"),
    );
    await visitor.press("Train");
    await visitor.press("Draw others");
    await visitor.until("others", async () =>
      (await visitor.text("#points-data")).includes("300 points"),
    );
    await visitor.until("95 % right again", async () => (await accuracy()) > 95);
  });

  test("race: both sides learn the same, and Lamella's step is the shorter one", async () => {
    const { page } = await open("race");
    const loaded = () =>
      page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name));
    expect((await loaded()).filter((name) => name.includes("tfjs"))).toEqual([]);
    await visitor.set("Steps", "40");
    await visitor.press("Start the race");
    await visitor.until("an end", async () =>
      (await visitor.text("#race-panel")).includes("40 steps each"),
    );
    const ratio = Number.parseFloat(await visitor.text(".ratio"));
    const [time, theirs] = [".lane-0", ".lane-1"].map((lane) => visitor.figure(lane, "time"));
    console.info(`${name}: ${await time} ms a step, TensorFlow.js ${await theirs}: ${ratio} ×`);
    expect(ratio).toBeGreaterThan(1);
    const losses = [
      await visitor.figure(".lane-0", "loss"),
      await visitor.figure(".lane-1", "loss"),
    ];
    expect(losses[0]).toBeLessThan(1.5); // it began at 2.3
    // float32, summed in other orders
    expect(Math.abs(losses[0]! - losses[1]!)).toBeLessThan(0.01 * losses[0]!);
  });

  test("a keyboard is enough: all controls have names and show the focus", async () => {
    const { page } = await open("digits");
    const { keyboard } = page;
    await page.evaluate(() => document.querySelector<HTMLElement>("#tab-digits")!.focus());
    await keyboard.press("ArrowRight");
    await keyboard.press("ArrowRight");
    expect(await page.$eval("#race-panel", (panel) => (panel as HTMLElement).hidden)).toBe(false);
    await keyboard.press("ArrowRight");
    expect(await page.$eval("#digits-panel", (panel) => (panel as HTMLElement).hidden)).toBe(false);

    const focused = () =>
      page.evaluate(() => {
        const element = document.activeElement as HTMLInputElement;
        const name =
          element.getAttribute("aria-label") ??
          element.labels?.[0]?.querySelector("span")?.textContent ??
          element.textContent;
        const { outlineStyle, outlineWidth } = getComputedStyle(element);
        const isShown = outlineStyle !== "none" && outlineWidth !== "0px";
        return { name: name?.trim() ?? "", isShown, tag: element.tagName };
      });
    const names: string[] = [];
    for (let i = 0; i < 80; i++) {
      await keyboard.press("Tab");
      const { name, isShown, tag } = await focused();
      expect({ name, tag, isShown }).toEqual({
        name: expect.stringMatching(/\S/),
        tag,
        isShown: true,
      });
      names.push(name);
      // before the page ends, and the focus goes to the browser's own controls
      if (name === "Next") break;
    }
    const path = [
      "Colours",
      "Train",
      "Kind of layer 0",
      "Units of layer 1",
      "Move layer 1 down",
      "Add a layer",
      "Optimizer",
      "Learning rate",
      "Save as safetensors",
      "Copy the code",
      "Test digit",
      "Next",
    ];
    expect(names.filter((name) => path.includes(name))).toEqual(path);

    // Train, look at another digit, pause: no mouse.
    const focus = async (name: string) => {
      await (await visitor.find(name)).evaluate((element) => (element as HTMLElement).focus());
    };
    await focus("Train");
    await keyboard.press("Enter");
    await visitor.until("steps", async () => (await visitor.figure("#digits-panel", "steps")) > 10);
    await focus("Next");
    await keyboard.press(" ");
    await visitor.until("the next digit", async () =>
      (await visitor.text("#digits-draw")).includes("Test digit 1: a 2"),
    );
    await focus("Pause");
    await keyboard.press(" ");
    await visitor.find("Train");
    await focus("Move layer 1 down");
    await keyboard.press("Enter");
    expect((await focused()).name).toBe("Move layer 2 down"); // the focus goes with the layer
  });

  test.each(["light", "dark"])(
    "360 pixels are wide enough, in the colours of %s",
    async (scheme) => {
      const { page } = await open("digits", { width: 360, height: 740, scheme });
      const papers: Record<string, string> = {
        light: "rgb(247, 246, 243)",
        dark: "rgb(20, 22, 26)",
      };
      const paper = await page.evaluate(
        () => getComputedStyle(document.documentElement).backgroundColor,
      );
      expect(paper).toBe(papers[scheme]);
      for (const tab of ["digits", "points", "race"]) {
        await page.click(`#tab-${tab}`);
        const { scrollWidth, clientWidth } = await page.evaluate(() => {
          const { scrollWidth, clientWidth } = document.documentElement;
          return { scrollWidth, clientWidth };
        });
        expect({ tab, width: scrollWidth }).toEqual({ tab, width: clientWidth });
        expect(clientWidth).toBeGreaterThan(340); // but for a scroll bar
      }
    },
  );

  test("the page's policy lets nothing be asked of another host", async () => {
    const { page } = await open("digits");
    const other = "http://127.0.0.2:9/";
    const answer = await page.evaluate(
      (other) => fetch(other).then(String, (error: Error) => error.name),
      other,
    );
    expect(answer).toBe("TypeError");
    await visitor.until("the report", async () => (await visitor.refused()).length > 0);
    expect(await visitor.refused()).toEqual([other]); // and nothing else that the page did
    visitor.troubles.length = 0; // the browser's words about it
  });
});
