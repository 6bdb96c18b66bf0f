import { button, h } from "./dom.ts";

/** A button that copies a program, and shows it where the browser does not let the page copy. */
export function copyCode(code: () => string): HTMLElement {
  const status = h("span", { class: "small", role: "status" });
  const listing = h("pre", { class: "code", tabindex: 0, "aria-label": "Code", hidden: true });
  const copy = async () => {
    const text = code();
    try {
      await navigator.clipboard.writeText(text);
      status.textContent = "Copied.";
      listing.hidden = true;
    } catch {
      status.textContent = "The browser does not let the page copy; here it is:";
      listing.textContent = text;
      listing.hidden = false;
    }
  };
  return h("div", { class: "actions" }, button("Copy the code", copy), status, listing);
}
