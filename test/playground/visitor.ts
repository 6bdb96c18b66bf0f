// Somebody at the page: starts the example's command and a browser, and does with the page what
// people do.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import puppeteer, { type Browser, type ElementHandle, type Page } from "puppeteer-core";
import { chromiumFlags, firefoxPreferences } from "../hosts/pages.ts";
import { Program } from "../hosts/processes.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The example's command, on a free port. */
export async function startPlayground(): Promise<{ url: string; program: Program }> {
  const args = ["examples/playground/index.js", "--port", "0"];
  const program = new Program(process.execPath, args, { cwd: root });
  const address = async () => {
    for (;;) {
      const url = /http:\S+\//.exec(program.output.stdout)?.[0];
      if (url) return url;
      await new Promise((later) => setTimeout(later, 50));
    }
  };
  return { url: await program.until(address(), 120), program };
}

/** A browser with a profile of its own; both end together. */
export async function startBrowser(
  name: string,
  executablePath: string,
): Promise<{ browser: Browser; end: () => Promise<void> }> {
  const userDataDir = mkdtempSync(join(tmpdir(), "lamella-profile-"));
  const common = { executablePath, userDataDir, headless: true };
  const browser = await puppeteer.launch(
    name === "Firefox"
      ? { ...common, browser: "firefox", extraPrefsFirefox: firefoxPreferences }
      : { ...common, browser: "chrome", args: chromiumFlags },
  );
  const end = async () => {
    await browser.close();
    rmSync(userDataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
  return { browser, end };
}

/** What the page handed to the browser, where a test can get at it. */
interface Kept {
  copied?: string;
  saved?: Promise<string>;
  refused: string[];
}

export class Visitor {
  /** What went wrong in the page: errors, requests that failed, and any to another host. */
  readonly troubles: string[] = [];

  private constructor(
    readonly page: Page,
    readonly url: string,
  ) {}

  /** @param tab the one that comes up, with what the address has behind it */
  static async at(
    browser: Browser,
    url: string,
    tab: string,
    { width = 1440, height = 1000, scheme = "light" } = {},
  ): Promise<Visitor> {
    const page = await browser.newPage();
    const visitor = new Visitor(page, url);
    const { troubles } = visitor;
    page.on("pageerror", (error) => troubles.push(`${(error as Error).stack}`));
    page.on("console", (message) => {
      if (message.type() === "error") troubles.push(message.text());
    });
    page.on("request", (request) => {
      const target = request.url();
      if (!target.startsWith(url) && !/^(blob|data):/.test(target)) troubles.push(target);
    });
    await page.evaluateOnNewDocument((scheme) => {
      if (!location.href.startsWith("http")) return; // the empty page before
      const kept: Kept = { refused: [] };
      Object.assign(window, { kept });
      document.addEventListener("securitypolicyviolation", ({ blockedURI }) =>
        kept.refused.push(blockedURI),
      );
      localStorage.setItem("theme", scheme);
      const { clipboard } = navigator;
      const write = clipboard.writeText.bind(clipboard);
      clipboard.writeText = (text) => {
        kept.copied = text;
        return write(text);
      };
      const make = URL.createObjectURL;
      URL.createObjectURL = (blob) => {
        kept.saved = new Promise((resolve) => {
          const reader = new FileReader();
          reader.onload = () => resolve(`${reader.result}`.replace(/^.*,/, ""));
          reader.readAsDataURL(blob as Blob);
        });
        return make(blob);
      };
    }, scheme);
    await page.setViewport({ width, height });
    await page.goto(`${url}#${tab}`);
    if (tab.startsWith("digits")) await page.waitForSelector("#digits-panel[data-state=ready]");
    return visitor;
  }

  /** The control of the tab in front that has this name. */
  async find(name: string): Promise<ElementHandle> {
    return (await this.page.waitForSelector(
      `[role=tabpanel]:not([hidden]) ::-p-xpath(.//button[normalize-space()="${name}"] | .//*[@aria-label="${name}"] | .//*[@id=(//label[span[normalize-space()="${name}"]]/@for)])`,
    )) as ElementHandle;
  }

  async press(name: string): Promise<void> {
    await (await this.find(name)).click();
  }

  /** Types a number, or picks a choice. */
  async set(name: string, value: string): Promise<void> {
    const control = await this.find(name);
    await control.evaluate((element, value) => {
      (element as HTMLInputElement).value = value;
      element.dispatchEvent(new Event("input", { bubbles: true }));
      element.dispatchEvent(new Event("change", { bubbles: true }));
    }, value);
  }

  text(selector: string): Promise<string> {
    return this.page.$eval(selector, (element) => element.textContent ?? "");
  }

  /** A figure of a part of the page as a number. */
  async figure(part: string, name: string): Promise<number> {
    const text = await this.text(`${part} [data-figure=${name}]`);
    return Number(text.replace(/[, %]/g, "").replaceAll("−", "-"));
  }

  /** Waits until something of the page is as it should be. */
  async until(what: string, holds: () => Promise<boolean>, seconds = 120): Promise<void> {
    const end = Date.now() + 1000 * seconds;
    while (!(await holds())) {
      if (Date.now() > end) throw new Error(`after ${seconds} s not yet: ${what}`);
      await new Promise((later) => setTimeout(later, 50));
    }
  }

  /** The most likely digit, as the page shows it. */
  best(): Promise<string | undefined> {
    return this.page.$eval(".scores", (list) => (list as HTMLElement).dataset.best);
  }

  /** A line on the pad, by the mouse, in shares of its sides. */
  async draw(...places: [x: number, y: number][]): Promise<void> {
    const pad = (await this.page.$(".pad"))!;
    await pad.evaluate((element) => element.scrollIntoView({ block: "center" }));
    const box = (await pad.boundingBox())!;
    const { mouse } = this.page;
    const to = async ([x, y]: [number, number]) =>
      mouse.move(box.x + x * box.width, box.y + y * box.height, { steps: 3 });
    await to(places[0]!);
    await mouse.down();
    for (const place of places.slice(1)) await to(place);
    await mouse.up();
  }

  /** The file that the page gives to be saved, in base64. */
  async saved(): Promise<string> {
    await this.page.evaluate(() => {
      delete (window as unknown as { kept: Kept }).kept.saved;
    });
    await this.press("Save as safetensors");
    await this.page.waitForFunction(() => (window as unknown as { kept: Kept }).kept.saved);
    return (await this.page.evaluate(() => (window as unknown as { kept: Kept }).kept.saved))!;
  }

  async copied(): Promise<string> {
    await this.press("Copy the code");
    await this.page.waitForFunction(() => (window as unknown as { kept: Kept }).kept.copied);
    return (await this.page.evaluate(() => (window as unknown as { kept: Kept }).kept.copied))!;
  }

  /** What the page's policy refused. */
  refused(): Promise<string[]> {
    return this.page.evaluate(() => (window as unknown as { kept: Kept }).kept.refused);
  }

  /** Frames that the page draws in a second, over two. */
  frames(): Promise<number> {
    return this.page.evaluate(
      () =>
        new Promise<number>((resolve) => {
          let frames = 0;
          const began = performance.now();
          const tick = (now: number) => {
            frames++;
            if (now - began > 2000) resolve((1000 * frames) / (now - began));
            else requestAnimationFrame(tick);
          };
          requestAnimationFrame(tick);
        }),
    );
  }

  close(): Promise<void> {
    return this.page.close();
  }
}
