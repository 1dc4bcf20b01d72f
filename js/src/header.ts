import { h } from "./dom";
import type { Part } from "./view";

export const header: Part = () => h("div", { class: "ov-header" });
