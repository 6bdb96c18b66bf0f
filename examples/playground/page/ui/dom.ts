// Elements in one call.

type Attributes = Record<string, string | number | boolean | ((event: Event) => void)>;

/** h("button", { class: "plain", onclick: run }, "Run"): functions are listeners, true and false say whether it is there. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") element.toggleAttribute(name, value);
    else element.setAttribute(name, `${value}`);
  }
  element.append(...children);
  return element;
}

/** The element of the page that has this id. */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element as E;
}

let labels = 0;

/** A control under its name; `hint` says more to those who point at it. */
export function field(name: string, control: HTMLElement, hint = ""): HTMLLabelElement {
  control.id ||= `control-${++labels}`;
  return h("label", { class: "field", for: control.id, title: hint }, h("span", {}, name), control);
}

export function select<Value extends string>(
  choices: Record<Value, string>,
  value: Value,
  change: (value: Value) => void,
  attributes: Attributes = {},
): HTMLSelectElement {
  const element = h(
    "select",
    { ...attributes, onchange: () => change(element.value as Value) },
    ...Object.entries<string>(choices).map(([key, title]) => h("option", { value: key }, title)),
  );
  element.value = value;
  return element;
}

/** Numbers that are typed; change is told of each that is one. */
export function numberInput(
  value: number,
  range: { min?: number; max?: number; step?: number | "any" },
  change: (value: number) => void,
  attributes: Attributes = {},
): HTMLInputElement {
  const element = h("input", {
    type: "number",
    value,
    step: "any",
    inputmode: "decimal",
    ...range,
    ...attributes,
    onchange: () => {
      const isNumber = element.value !== "" && element.validity.valid;
      element.setAttribute("aria-invalid", `${!isNumber}`);
      if (isNumber) change(element.valueAsNumber);
    },
  });
  return element;
}

export function button(
  text: string,
  click: () => void,
  attributes: Attributes = {},
): HTMLButtonElement {
  return h("button", { type: "button", ...attributes, onclick: click }, text);
}
