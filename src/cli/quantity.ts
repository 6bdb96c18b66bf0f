// This file tells what a cell measures, if it does: a first line of words above such cells names
// their columns.

const MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec";
const NUMBER = String.raw`\d[\d.,'’\s]*`;

/** The first kind that fits counts. */
const kinds: readonly (readonly [string, RegExp])[] = [
  // A year and a month or more; the time of the day and its zone may follow.
  ["date", /^\d{4}([-/.])\d{1,2}(?:\1\d{1,2})?(?:[T ]\d.*)?$/],
  ["date", /^\d{1,2}([-/.])\d{1,2}\1(?:\d{4}|\d\d)(?:[T ,]+\d.*)?$/],
  ["date", new RegExp(`^\\d{1,2}[ .-]+(?:${MONTHS})[a-z]*[ .,-]+\\d{2,4}\\b.*$`, "i")],
  ["date", new RegExp(`^(?:${MONTHS})[a-z]*[ .-]+(?:\\d{1,2},? +)?\\d{4}\\b.*$`, "i")],
  ["time", /^[-+]?\d{1,3}:\d\d(?::\d\d(?:[.,]\d+)?)?\s?(?:[ap]\.?m\.?)?$/i],
  ["share", new RegExp(`^[-+(]?${NUMBER}[%‰]\\)?$`)],
  [
    "money",
    new RegExp(`^[-+(]?\\s?(?:\\p{Sc}|[A-Z]{2,3}\\p{Sc}|[A-Z]{3} )\\s?[-+]?${NUMBER}\\)?$`, "u"),
  ],
  ["money", new RegExp(`^[-+(]?${NUMBER}(?:\\p{Sc}|[A-Z]{3})\\)?$`, "u")],
  ["number", new RegExp(`^[-+(]?(?:${NUMBER}|\\.\\d+)(?:e[-+]?\\d+)?\\)?$`, "i")],
  ["measure", new RegExp(`^[-+<>~≈≤≥]?\\s?${NUMBER}[a-zµμ°Ω/²³^]{1,6}$`, "iu")],
];

/** Returns "date", "money" and the like, and undefined for words and for a long text. */
export const quantityOf = (cell: string): string | undefined =>
  cell.length > 40 ? undefined : kinds.find(([, form]) => form.test(cell))?.[0];
