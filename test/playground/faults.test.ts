// What once went wrong at the playground, and may not again: each fault as a visitor meets it.

import type { Browser } from "puppeteer-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { chromium, firefox } from "../hosts/pages.ts";
import type { Program } from "../hosts/processes.ts";
import { startBrowser, startPlayground, Visitor } from "./visitor.ts";

let url = "";
let command: Program | undefined;
/** What the same link trained to, by browser. */
const trained = new Map<string, string>();

beforeAll(async () => {
  ({ url, program: command } = await startPlayground());
});
afterAll(() => command?.end());

test("the command makes nothing that it has made before", async () => {
  const { program, url: again } = await startPlayground();
  expect(program.output.stderr).toBe("");
  expect(program.output.stdout).toBe(`the playground is at ${again}, until Ctrl-C\n`);
  await program.end();
});

const tabs = ["digits", "points", "race"];
const sizes = [
  { width: 1280, height: 800 },
  { width: 390, height: 844 },
];

describe.each([chromium, firefox])("in $name", ({ name, path, missing }) => {
  if (missing && !process.env.CI) {
    const message = `not run: ${missing}`;
    console.warn(`test/playground/faults.test.ts: ${message}`);
    test.skip(message);
    return;
  }
  let browser: Browser;
  let end: (() => Promise<void>) | undefined;
  let visitor: Visitor;
  const visitors: Visitor[] = [];

  beforeAll(async () => {
    expect(missing, "which CI must have").toBeUndefined();
    ({ browser, end } = await startBrowser(name, path));
  });
  afterAll(() => end?.());
  afterEach(async () => {
    for (const one of visitors.splice(0)) {
      expect(one.troubles).toEqual([]);
      await one.close();
    }
  });

  const open = async (tab: string, options = {}) => {
    visitor = await Visitor.at(browser, url, tab, options);
    visitors.push(visitor);
    return visitor;
  };
  const panel = (tab: string) => `#${tab}-panel`;
  const figureText = (tab: string, figure: string) =>
    visitor.text(`${panel(tab)} [data-figure=${figure}]`);
  const steps = (tab: string) => visitor.figure(panel(tab), "steps");
  const chart = (tab: string) =>
    visitor.page.$eval(`${panel(tab)} .chart`, (frame) => frame.getAttribute("aria-label") ?? "");
  const hash = async () => decodeURI(new URL(visitor.page.url()).hash);
  const status = (tab: string) => visitor.text(`#${tab}-network .status`);
  /** So many steps, one by one. */
  const step = async (tab: string, count: number) => {
    await visitor.until("a beginning", async () => Number.isFinite(await steps(tab)));
    const before = await steps(tab);
    for (let i = 1; i <= count; i++) {
      await visitor.press("Step");
      await visitor.until("a step", async () => (await steps(tab)) === before + i);
    }
  };
  const built = (tab: string) =>
    visitor.until("a network", async () => (await status(tab)).endsWith(" parameters"));
  /** The address once it has what it must. */
  const address = async (part: string) => {
    await visitor.until(`${part} in the address`, async () => (await hash()).includes(part));
    return hash();
  };

  test.each(sizes)(
    "it opens at its tabs, $width pixels wide, and goes there by old links",
    async (size) => {
      for (const tab of tabs) {
        const { page } = await open(tab, size);
        await page.waitForSelector(`#tab-${tab}[aria-selected=true]`);
        expect(await page.evaluate(() => scrollY)).toBe(0);
        const { top } = await page.$eval("#tabs", (list) => list.getBoundingClientRect().toJSON());
        expect(top).toBeGreaterThanOrEqual(0);
        // No fragment of the address is an element, as a browser would scroll to it.
        const fragment = new URL(page.url()).hash.slice(1);
        expect(await page.evaluate((id) => document.getElementById(id), fragment)).toBe(null);
      }
    },
  );

  test("Reset after a training that went astray: figures and charts are those of the new one", async () => {
    await open("digits");
    await built("digits");
    await visitor.set("Optimizer", "sgd");
    await visitor.set("Learning rate", "1000");
    await step("digits", 8);
    expect(await chart("digits")).toMatch(/ to (NaN|∞|[\d.]+e\d+|\d{3,}) in/);
    // The labels of that chart are whole: nothing is drawn at the edges of the canvas.
    expect(await inkAtEdges()).toEqual([]);
    await visitor.press("Reset");
    await visitor.until("no step", async () => (await steps("digits")) === 0);
    expect(await figureText("digits", "loss")).toBe("–");
    expect(await chart("digits")).toBe("Loss by step: nothing yet");
    await visitor.set("Learning rate", "0.01");
    await step("digits", 3);
    const [, most] = /to ([\d.]+) in/.exec(await chart("digits")) ?? [];
    expect(Number(most)).toBeLessThan(4); // it begins at 2.3 + what l2 adds
  });

  test("Reset while it trains: no figure is ever of the training before", async () => {
    await open("points");
    await built("points");
    await visitor.press("Train");
    await visitor.until("steps", async () => (await steps("points")) > 200);
    const seen = visitor.page.evaluate(
      () =>
        new Promise<number[]>((resolve) => {
          const output = document.querySelector("#points-panel [data-figure=steps]")!;
          const values: number[] = [];
          new MutationObserver(() => {
            values.push(Number(output.textContent!.replace(/,/g, "")));
            const last = values.at(-1)!;
            // From the beginning to twenty steps on.
            const fell = values.findIndex((value, i) => i > 0 && value < values[i - 1]!);
            if (fell >= 0 && last > values[fell]! + 20) resolve(values);
          }).observe(output, { childList: true, characterData: true, subtree: true });
        }),
    );
    await visitor.press("Reset");
    const values = await seen;
    const falls = values.filter((value, i) => i > 0 && value < values[i - 1]!);
    expect(falls).toHaveLength(1);
    await visitor.press("Pause");
  });

  test("another network while it is paused: figures, charts and pictures are its own", async () => {
    await open("digits");
    await step("digits", 5);
    const before = await figureText("digits", "accuracy");
    await visitor.set("Units of layer 1", "16");
    await visitor.until("no step", async () => (await steps("digits")) === 0);
    await built("digits");
    expect(await figureText("digits", "loss")).toBe("–");
    expect(await figureText("digits", "epochs")).toBe("0.0");
    expect(await chart("digits")).toBe("Loss by step: nothing yet");
    await visitor.until("16 units", async () =>
      (
        await visitor.page.$eval(".weights", (canvas) => canvas.getAttribute("aria-label")!)
      ).includes("16 units"),
    );
    expect(await figureText("digits", "accuracy")).not.toBe(before);
  });

  test.each(tabs)(
    "%s: each number that cannot be is said so beside it, and what holds",
    async (tab) => {
      const { page } = await open(tab);
      if (tab !== "race") await built(tab);
      // Rows of layers are drawn anew with each change, so that an input is looked for each time.
      const say = (given: string) =>
        page.evaluate(
          (panel, given) => {
            const inputs = () => [
              ...document.querySelectorAll<HTMLInputElement>(`${panel} input[type=number]`),
            ];
            const put = (i: number, text: string) => {
              const input = inputs()[i]!;
              input.value = text;
              input.dispatchEvent(new Event("change", { bubbles: true }));
            };
            const look = (i: number) => {
              const input = inputs()[i]!;
              const problem = document.getElementById(input.getAttribute("aria-describedby")!)!;
              const [box, words] = [input, problem].map((one) => one.getBoundingClientRect());
              return {
                text: problem.textContent!,
                isWrong: input.getAttribute("aria-invalid"),
                below: words!.top - box!.bottom,
              };
            };
            return inputs().flatMap(({ value: before, min }, i) => {
              if (given === "below" && min === "") return [];
              put(i, given === "empty" ? "" : `${Number(min) - 1}`);
              const said = look(i);
              put(i, before);
              const after = look(i);
              return [{ before, ...said, after: after.text, isStillWrong: after.isWrong }];
            });
          },
          panel(tab),
          given,
        );
      for (const given of ["empty", "below"]) {
        const answers = await say(given);
        expect(answers.length).toBeGreaterThan(1);
        for (const { before, text, isWrong, below, after, isStillWrong } of answers) {
          expect(text).toMatch(/^Expected a (whole )?number\b.*, got /);
          if (given === "empty") expect(text).toContain(", got nothing.");
          expect(text).toContain(` ${before.replaceAll("-", "−")} stays in use.`);
          expect(isWrong).toBe("true");
          expect(below).toBeLessThan(60);
          expect(after).toBe("");
          expect(isStillWrong).not.toBe("true");
        }
      }
    },
  );

  test("a rate of −1 while it trains: words, and the training goes on as they say", async () => {
    await open("points");
    await visitor.press("Train");
    await visitor.set("Learning rate", "-1");
    expect(await visitor.text("#points-training")).toContain(
      "Expected a number above 0, got −1. 0.01 stays in use.",
    );
    const before = await steps("points");
    await visitor.until("more steps", async () => (await steps("points")) > before + 50);
    expect(await hash()).not.toContain("-1");
    await visitor.set("Learning rate", "0.02");
    expect(await visitor.text("#points-training")).not.toContain("Expected");
    await address("learningRate:0.02");
    await visitor.press("Pause");
  });

  test("a bad layer while it trains: words at the layer, training goes on, and so it does when it is mended", async () => {
    const { page } = await open("points");
    await visitor.press("Train");
    await visitor.until("steps", async () => (await steps("points")) > 20);
    await visitor.set("Units of layer 4", "7");
    await visitor.until("words", async () =>
      (await status("points")).includes(
        "layer 4 (affine): the network ends in 7 scores, but there are 2 classes",
      ),
    );
    expect(await status("points")).toContain("The network as it was before stays in use.");
    expect(await page.$eval(".layers li.problem .status", (p) => p.getAttribute("role"))).toBe(
      "status",
    );
    const before = await steps("points");
    await visitor.until("more steps", async () => (await steps("points")) > before + 50);
    await visitor.set("Units of layer 4", "2");
    await built("points");
    const mended = await steps("points");
    expect(mended).toBeGreaterThan(before); // the network is the same: nothing was lost
    await visitor.until("more steps", async () => (await steps("points")) > mended + 50);
    expect(await page.$(".layers li.problem")).toBe(null);
    await visitor.press("Pause");
  });

  test("networks that would take all memory are refused before anything is allocated", async () => {
    const { page } = await open("digits");
    await built("digits");
    await visitor.set("Units of layer 1", "1000000");
    const words = await page.$eval("#digits-network li:nth-child(2)", (row) => row.textContent);
    expect(words).toContain(
      "Expected a whole number from 1 to 4,096, got 1000000. 64 stays in use.",
    );
    // Each layer for itself is small enough, all together are not.
    const refused = async (said: string) => {
      await visitor.until("a refusal", async () => (await status("digits")).includes(said));
    };
    await visitor.set("Units of layer 1", "4096");
    await visitor.until("4,096 units", async () =>
      (await status("digits")).startsWith("3,260,426"),
    );
    await visitor.set("Kind of layer 3", "affine");
    await visitor.set("Units of layer 3", "4096");
    await refused("the network has 20,000,768 parameters here, and the page takes 10,000,000");
    await step("digits", 1); // the one before is in use
    await open("digits?layers=affine;units:1000000,affine;units:10");
    expect(await visitor.text("#digits-notice")).toBe(
      "The address cannot be followed: affine, units: expected a whole number from 1 to 4,096, got “1000000”.",
    );
    await built("digits");
  });

  test.each([
    ["digits?steps=-3", "steps: expected a whole number from 1 to 10,000,000, got “-3”"],
    ["digits?layers=magic", "layers: “magic” is none"],
    ["digits?layers=affine;units:12", "the network ends in 12 scores, but there are 10 classes"],
    ["digits?optimizer=adam;kind:sgd", "optimizer: adam has no setting “kind”"],
    ["digits?toString=1", "the address has “toString”, which is no setting"],
    [
      "points?points=spirals;1e9;0;0",
      "points, number: expected a whole number from 30 to 1,000, got “1e9”",
    ],
    ["points?add=0;0;2", "add, class: expected a whole number from 0 to 1, got “2”"],
    [
      "points?seed=1&steps=2&seed=2&steps=2",
      "changes the layers or the seed after steps were taken",
    ],
    ["points?pace=7", "pace: “7” is none"],
    ["race?batch=0", "batch: expected a whole number from 1 to 1,024, got “0”"],
    ["race?network=1,2", "the race has no “network=1,2”"],
  ])(
    "an address that makes no sense is said so, and all is as at first: %s",
    async (part, words) => {
      await open(part);
      const [tab = ""] = part.split("?");
      const notice = tab === "race" ? "#race-course > [role=status]" : `#${tab}-notice`;
      await visitor.until("words", async () => (await visitor.text(notice)).includes(words));
      if (tab === "race") return;
      await step(tab, 1);
      expect(await hash()).toContain("seed=231&steps=1");
    },
  );

  test("digits: a link gives the same training to the bit, and so do other browsers", async () => {
    await open("digits");
    await visitor.set("Seed", "7");
    await visitor.set("Units of layer 1", "24");
    await step("digits", 12);
    await visitor.set("Learning rate", "0.01"); // with the weights as they are
    await step("digits", 3);
    const scores = await visitor.text(".scores");
    await visitor.set("Test digit", "5");
    const link = await address("digit=5");
    await visitor.until("its scores", async () => (await visitor.text(".scores")) !== scores);
    expect(link).toMatch(/seed=7&steps=12&optimizer=[^&]*learningRate:0.01&steps=3$/);
    const picture = await pictureOf("digits");
    const saved = await visitor.saved();

    await open(link.slice(1));
    await visitor.until("15 steps", async () => (await steps("digits")) === 15);
    await visitor.find("Train"); // it rests there
    await visitor.until("the same picture", async () => isSame(await pictureOf("digits"), picture));
    expect(await pictureOf("digits")).toEqual(picture);
    expect(await visitor.saved()).toBe(saved);
    trained.set(name, saved);
    for (const other of trained.values()) expect(other).toBe(saved);
    // And it goes on in the same way.
    const [one, two] = [visitors[0]!, visitors[1]!];
    const goOn = async (which: Visitor) => {
      visitor = which;
      await visitor.page.bringToFront(); // pages behind draw nothing
      await step("digits", 2);
      return visitor.saved();
    };
    expect(await goOn(two)).toBe(await goOn(one));
  });

  test("points: a link gives the same points, also those by hand, and the same plane to the bit", async () => {
    const { page } = await open("points");
    await visitor.set("Points", "moons");
    await visitor.set("Noise", "0.1");
    await step("points", 10);
    await page.focus(".plane");
    for (const key of ["ArrowLeft", "ArrowUp", "ArrowUp", "Enter"]) {
      await page.keyboard.press(key as "Enter");
    }
    await visitor.until("one more", async () =>
      (await visitor.text("#points-data")).includes("301 points"),
    );
    await step("points", 10);
    const link = await address("&add=-0.05;0.1;0&steps=10");
    expect(link).toContain("points=moons;300;0.1;0");
    await page.evaluate(() => (document.activeElement as HTMLElement).blur());
    const picture = await pictureOf("points");
    await open(link.slice(1));
    await visitor.until("20 steps", async () => (await steps("points")) === 20);
    await visitor.until("the same picture", async () => isSame(await pictureOf("points"), picture));
    expect(await pictureOf("points")).toEqual(picture);
    expect(await visitor.text("#points-data")).toContain("301 points");
  });

  test("a training that ran, was paused and stepped is the one that its link runs at once", async () => {
    await open("digits");
    await visitor.press("Train");
    await visitor.until("steps", async () => (await steps("digits")) > 40);
    await visitor.press("Pause");
    await visitor.find("Train");
    await step("digits", 1);
    const count = await steps("digits");
    const link = await address(`steps=${count}`);
    const saved = await visitor.saved();
    await open(link.slice(1));
    await visitor.until("the steps", async () => (await steps("digits")) === count);
    expect(await visitor.saved()).toBe(saved);
  });

  test("after more than 200 changes the page says that the address has the settings alone", async () => {
    // As many as an address holds.
    const changes = Array.from({ length: 199 }, (_, i) => `l2=${i % 2 ? 0 : 0.001}&steps=1`);
    await open(`points?steps=1&${changes.join("&")}`);
    const notice = () => visitor.text("#points-notice");
    await visitor.until("all steps", async () => (await steps("points")) === 200);
    const told = "After more than 200 changes the address has the settings, but not the weights.";
    expect(await notice()).not.toContain(told);
    await visitor.set("Learning rate", "0.02");
    await visitor.press("Step");
    await visitor.until("the notice", async () => (await notice()).includes(told));
    expect(await hash()).toContain("learningRate:0.02");
    expect(await hash()).not.toContain("steps=");
    await visitor.press("Reset");
    await visitor.until("no notice", async () => !(await notice()).includes(told));
  });

  test("Reload finds network, settings and weights again, those of the tab behind too", async () => {
    const { page } = await open("digits");
    await visitor.set("Units of layer 1", "20");
    await visitor.set("Batch size", "16");
    await step("digits", 4);
    await address("steps=4");
    const saved = await visitor.saved();
    await page.click("#tab-points");
    await visitor.set("Points", "xor");
    await step("points", 2);
    await address("steps=2");
    await page.reload();
    await visitor.until("2 steps", async () => (await steps("points")) === 2);
    expect(
      await (await visitor.find("Points")).evaluate((e) => (e as HTMLSelectElement).value),
    ).toBe("xor");
    await page.click("#tab-digits");
    await visitor.until("4 steps", async () => (await steps("digits")) === 4);
    const value = async (control: string) =>
      (await visitor.find(control)).evaluate((e) => (e as HTMLInputElement).value);
    expect(await value("Units of layer 1")).toBe("20");
    expect(await value("Batch size")).toBe("16");
    expect(await visitor.saved()).toBe(saved);
  });

  test("Back and Forward go through settings, Reset and tabs, each with its weights", async () => {
    const { page } = await open("digits");
    const value = async (control: string) =>
      (await visitor.find(control)).evaluate((e) => (e as HTMLInputElement).value);
    await step("digits", 3);
    const first = await visitor.saved();
    await visitor.set("Learning rate", "0.05");
    await address("learningRate:0.05");
    await step("digits", 2);
    const second = await visitor.saved();
    await visitor.press("Reset");
    await visitor.until("no step", async () => (await steps("digits")) === 0);
    await page.click("#tab-race");
    await visitor.set("Batch size", "32");

    await page.goBack();
    await visitor.until("a batch of 64", async () => (await value("Batch size")) === "64");
    expect(await page.$eval("#race-panel", (panel) => (panel as HTMLElement).hidden)).toBe(false);
    await page.goBack();
    await visitor.until("digits", () =>
      page.$eval("#digits-panel", (panel) => !(panel as HTMLElement).hidden),
    );
    expect(await steps("digits")).toBe(0);
    await page.goBack();
    await visitor.until("5 steps", async () => (await steps("digits")) === 5);
    expect(await visitor.saved()).toBe(second);
    expect(await value("Learning rate")).toBe("0.05");
    await page.goBack();
    await visitor.until("3 steps", async () => (await steps("digits")) === 3);
    expect(await value("Learning rate")).toBe("0.001");
    expect(await visitor.saved()).toBe(first);
    await page.goForward();
    await visitor.until("5 steps", async () => (await steps("digits")) === 5);
    expect(await visitor.saved()).toBe(second);
  });

  test("a long way to the link's step says how far it is, and Pause ends it there", async () => {
    await open("digits?steps=1000000");
    await visitor.until("words", async () =>
      (await visitor.text("#digits-notice")).startsWith("Training again to step 1,000,000"),
    );
    await visitor.press("Pause");
    await visitor.until("an end", async () =>
      (await visitor.text("#digits-notice")).includes("digits to learn from"),
    );
    const count = await steps("digits");
    expect(count).toBeLessThan(1_000_000);
    await step("digits", 1);
    await address(`steps=${count + 1}`);
  });

  test("a digit is drawn by keys alone, is read, heard, and cleared", async () => {
    const { page } = await open("digits");
    const { keyboard } = page;
    await visitor.until("scores", async () => (await visitor.best()) !== undefined);
    const before = await visitor.text(".scores");
    await page.focus(".pad");
    const hint = await page.$eval(".pad", (pad) => {
      const { id } = document.getElementById(pad.getAttribute("aria-describedby")!)!;
      return document.getElementById(id)!.textContent!;
    });
    for (const key of ["arrows", "Space", "Enter", "Delete"]) expect(hint).toContain(key);
    const heard = () => visitor.text("#digits-draw [aria-live]");
    const ink = () =>
      page.$eval(".pad", (canvas) => {
        const pad = canvas as HTMLCanvasElement;
        const { data } = pad.getContext("2d")!.getImageData(0, 0, pad.width, pad.height);
        let count = 0;
        for (let i = 3; i < data.length; i += 4) if (data[i]! > 200) count++;
        return count;
      });
    for (let i = 0; i < 5; i++) await keyboard.press("ArrowUp");
    expect(await heard()).toBe("Row 3, column 8 of 14");
    await keyboard.press("Enter"); // which also puts the test digit away
    expect(await heard()).toContain("pen down");
    const dot = await ink();
    for (let i = 0; i < 9; i++) await keyboard.press("ArrowDown");
    expect(await ink()).toBeGreaterThan(dot + 2000); // a stroke of 180 × 22
    await keyboard.press("Enter");
    const stroke = await ink();
    for (let i = 0; i < 4; i++) await keyboard.press("ArrowRight");
    // the pen is up: only the cursor moved
    expect(Math.abs((await ink()) - stroke)).toBeLessThan(200);
    await keyboard.press(" ");
    expect(await ink()).toBeGreaterThan(stroke + 50);
    expect(await heard()).toMatch(/^Dot\. Row 12, column 12/);
    expect(await visitor.text("#digits-draw .caption")).toBe("Your digit");
    await visitor.until("other scores", async () => (await visitor.text(".scores")) !== before);
    await keyboard.press("Delete");
    expect(await heard()).toMatch(/^Cleared\. /);
    expect(await visitor.text("#digits-draw .caption")).toBe("Draw a digit");
  });

  describe.each(["light", "dark"])("in %s", (scheme) => {
    test.each(sizes)("no label wraps or is cut, $width pixels wide", async (size) => {
      const { page } = await open("digits", { ...size, scheme });
      await step("digits", 2);
      await page.click("#tab-points");
      await step("points", 2);
      await page.click("#tab-race");
      await visitor.set("Steps", "10");
      await visitor.press("Start the race");
      await visitor.until("an end", async () =>
        (await visitor.text(panel("race"))).includes("10 steps each"),
      );
      for (const tab of tabs) {
        await page.click(`#tab-${tab}`);
        expect({ tab, bad: await badLabels(tab) }).toEqual({ tab, bad: [] });
        expect({ tab, edges: await inkAtEdges() }).toEqual({ tab, edges: [] });
        const { scrollWidth, clientWidth } = await page.evaluate(() => {
          const { scrollWidth, clientWidth } = document.documentElement;
          return { scrollWidth, clientWidth };
        });
        expect({ tab, width: scrollWidth }).toEqual({ tab, width: clientWidth });
      }
    });
  });

  test.each(sizes)("nothing moves when numbers change, $width pixels wide", async (size) => {
    const { page } = await open("digits", size);
    await built("digits");
    const places = () =>
      page.$$eval(
        "#digits-panel :is(.card, .figures > div, .scores li, button, .pair > *)",
        (all) =>
          all.map((element) => {
            const { left, top, width, height } = element.getBoundingClientRect();
            return [left, top + scrollY, width, height]
              .map((value) => Math.floor(value + 0.5))
              .join();
          }),
      );
    // Its word is longer than Pause, but the button is as wide for both.
    await visitor.until("pictures", async () => (await page.$$(".histograms .pair")).length === 5);
    const before = await places();
    await step("digits", 30);
    expect(await places()).toEqual(before);
    // The widest numbers that may come.
    await page.evaluate(() => {
      const put = (selector: string, text: string) => {
        for (const element of document.querySelectorAll(selector)) element.textContent = text;
      };
      put("#digits-panel .scores .value", "100.0 %");
      put("#digits-panel [data-figure=accuracy]", "100.0 %");
      put(".histograms .small", "−1.23e−10 ± 1.23e−10, 99 % zero");
      put("#digits-panel [data-figure=loss]", "−1.23e10");
      put("#digits-panel [data-figure=speed]", "1,234,567");
      put("#digits-panel [data-figure=steps]", "10,000,000");
      put("#digits-panel [data-figure=epochs]", "12,345.6");
    });
    expect(await places()).toEqual(before);
    const fits = await page.$$eval(
      "#digits-panel :is(.figures dd, .scores .value, .histograms .small)",
      (all) => all.every(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth),
    );
    expect(fits).toBe(true);
  });

  test.each(sizes)(
    "what a tab says begins where its cards do, $width pixels wide",
    async (size) => {
      const { page } = await open("digits", size);
      for (const tab of tabs) {
        await page.click(`#tab-${tab}`);
        const lefts = await page.$$eval(`#${tab}-panel :is(.lead, .columns > .card)`, (all) =>
          all
            .filter((element) => element.clientWidth)
            .map((element) => element.getBoundingClientRect().left),
        );
        expect(lefts.length).toBeGreaterThan(1);
        expect({ tab, places: new Set(lefts).size }).toEqual({ tab, places: 1 });
      }
    },
  );

  test("messages are heard", async () => {
    const { page } = await open("digits");
    const regions = await page.$$eval("[role=status]", (all) => all.map(({ id }) => id));
    for (const id of ["digits-notice", "points-notice"]) expect(regions).toContain(id);
  });

  test("who wants little motion has none", async ({ skip }) => {
    if (name !== "Chromium") skip(`the driver of ${name} cannot ask for less motion`);
    const { page } = await open("digits");
    const transition = () =>
      page.$eval("#digits-panel button", (button) => getComputedStyle(button).transitionDuration);
    await page.emulateMediaFeatures([{ name: "prefers-reduced-motion", value: "reduce" }]);
    expect(await transition()).toBe("0s");
    await page.emulateMediaFeatures([{ name: "prefers-reduced-motion", value: "no-preference" }]);
    expect(await transition()).not.toBe("0s");
  });

  /** Labels of a tab that take more than a line, or more room than they have. */
  function badLabels(tab: string): Promise<string[]> {
    return visitor.page.$$eval(
      `header [role=tab], ${panel(tab)} :is(h2, h3, dt, dd, legend, th, .key, .value, .field > span, .index, button, output, figcaption, .histograms .small, .caption, select), footer *`,
      (labels) => {
        const ruler = document.createElement("canvas").getContext("2d")!;
        return (labels as HTMLElement[])
          .filter((label) => label.getClientRects().length > 0)
          .flatMap((label) => {
            const text = label.textContent!.trim();
            const style = getComputedStyle(label);
            if (label instanceof HTMLSelectElement) {
              ruler.font = `${style.fontSize} ${style.fontFamily}`;
              const widest = Math.max(
                ...[...label.options].map((option) => ruler.measureText(option.text).width),
              );
              const padding = Number.parseFloat(style.paddingLeft);
              // The arrow has some 20 pixels.
              return widest + padding + 20 > label.clientWidth
                ? [`cut: ${label.selectedOptions[0]!.text}`]
                : [];
            }
            if (text === "") return [];
            const range = document.createRange();
            range.selectNodeContents(label);
            const parts = label.matches("figcaption") ? [label.firstChild!] : [label];
            const lines = parts.flatMap((part) => {
              range.selectNodeContents(part);
              const tops = [...range.getClientRects()]
                .filter(({ width }) => width > 1)
                .map(({ top, height }) => top + height / 2);
              return Math.max(...tops) - Math.min(...tops) > 10 ? [`wraps: ${text}`] : [];
            });
            const isCut = label.scrollWidth > label.clientWidth + 1 && style.display !== "inline";
            const { right } = label.getBoundingClientRect();
            const isOut = right > document.documentElement.clientWidth;
            return [...lines, ...(isCut || isOut ? [`cut: ${text}`] : [])];
          });
      },
    );
  }

  /** Charts that draw something at their very edge, as where a label is cut. */
  function inkAtEdges(): Promise<string[]> {
    return visitor.page.$$eval(".chart", (frames) =>
      frames.flatMap((frame) => {
        const canvas = frame.querySelector("canvas");
        if (!canvas || canvas.getClientRects().length === 0) return [];
        const { width, height } = canvas;
        const context = canvas.getContext("2d")!;
        const isInked = (x: number, y: number, w: number, h: number) =>
          context.getImageData(x, y, w, h).data.some((value, i) => i % 4 === 3 && value > 0);
        const edges = {
          left: isInked(0, 0, 1, height),
          right: isInked(width - 1, 0, 1, height),
          top: isInked(0, 0, width, 1),
          bottom: isInked(0, height - 1, width, 1),
        };
        const inked = Object.entries(edges).filter(([, is]) => is);
        return inked.map(([edge]) => `${frame.getAttribute("aria-label")}: ${edge}`);
      }),
    );
  }

  /** All that is to be seen of a training but how fast it was. */
  function pictureOf(tab: string): Promise<Record<string, unknown>> {
    return visitor.page.$eval(panel(tab), (element) => {
      const texts = (selector: string) =>
        [...element.querySelectorAll(selector)].map(({ textContent }) => textContent);
      const inputs = [
        ...element.querySelectorAll<HTMLInputElement>("input:not([type=file]), select"),
      ];
      return {
        figures: texts("dd:not([data-figure=speed])"),
        scores: texts(".scores .value"),
        confusion: texts(".confusion td"),
        histograms: texts(".histograms p"),
        charts: [...element.querySelectorAll(".chart")].map((frame) =>
          frame.getAttribute("aria-label"),
        ),
        inputs: inputs.map(({ value }) => value),
        canvases: [...element.querySelectorAll("canvas")].map((canvas) => canvas.toDataURL()),
      };
    });
  }
});

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
