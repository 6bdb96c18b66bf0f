// Tabs as the ARIA Authoring Practices have them: arrows move, one is in the tab order.
// https://www.w3.org/WAI/ARIA/apg/patterns/tabs/

/** @param shown is told of a tab each time that it comes up */
export function startTabs(list: HTMLElement, shown: (name: string) => void): void {
  const tabs = [...list.querySelectorAll<HTMLElement>("[role=tab]")];
  const show = (tab: HTMLElement, isFocused: boolean) => {
    for (const other of tabs) {
      const isSelected = other === tab;
      other.setAttribute("aria-selected", `${isSelected}`);
      other.tabIndex = isSelected ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")!)!.hidden = !isSelected;
    }
    if (isFocused) tab.focus();
    history.replaceState(null, "", `#${tab.dataset.name}`);
    shown(tab.dataset.name!);
  };
  list.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(event.target as HTMLElement);
    const last = tabs.length - 1;
    const keys: Record<string, number> = {
      ArrowRight: at === last ? 0 : at + 1,
      ArrowLeft: at === 0 ? last : at - 1,
      Home: 0,
      End: last,
    };
    const to = keys[event.key];
    if (to === undefined) return;
    event.preventDefault();
    show(tabs[to]!, true);
  });
  for (const tab of tabs) tab.addEventListener("click", () => show(tab, false));
  const named = tabs.find(({ dataset }) => `#${dataset.name}` === location.hash);
  show(named ?? tabs[0]!, false);
}
