// Light, dark, or as the system has it; and the colours of both for what is drawn on canvases.

const changes = new EventTarget();
const changed = () => changes.dispatchEvent(new Event("change"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);

/** A colour of style.css, as it is now. */
export const colour = (name: string): string =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** Its red, green and blue. */
export function channels(name: string): [number, number, number] {
  const [red = 0, green = 0, blue = 0] =
    colour(name)
      .match(/[\d.]+/g)
      ?.map(Number) ?? [];
  return [red, green, blue];
}

/** Draws now, and again when the colours change. */
export function withColours(draw: () => void): void {
  draw();
  changes.addEventListener("change", draw);
}

export function startTheme(choice: HTMLSelectElement): void {
  const apply = () => {
    const { value } = choice;
    if (value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = value;
    changed();
  };
  choice.value = localStorage.getItem("theme") ?? "auto";
  choice.addEventListener("change", () => {
    localStorage.setItem("theme", choice.value);
    apply();
  });
  apply();
}
