import { describe, expect, test } from "vitest";
import { brokenLink, linksOf, type Page, pages } from "./pages.ts";

describe("links", () => {
  test.each(pages)("of $page lead to files and headings that are there", (page) => {
    const broken = linksOf(page).flatMap((link) => brokenLink(page, link) ?? []);
    expect(broken).toEqual([]);
  });

  test("there are some", () => {
    expect(pages.flatMap(linksOf).length).toBeGreaterThan(100);
  });

  test.each(["nowhere.md", "#nowhere", "docs/gemm.md#nowhere", "../README.md"])(
    "%s is found to be broken",
    (link) => {
      const page: Page = { page: "README.md", text: `# Here\n\n[there](${link})`, blocks: [] };
      expect(linksOf(page)).toEqual([link]);
      expect(brokenLink(page, link)).toBeTypeOf("string");
    },
  );
});
