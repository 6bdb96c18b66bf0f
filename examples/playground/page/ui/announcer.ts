import { h } from "./dom.ts";

/** Words for those who hear the page: not seen, and read out when they change. */
export function announcer(): HTMLElement {
  return h("p", { class: "unseen", "aria-live": "polite" });
}
