import { h } from "./dom";
import type { Part } from "./view";

export const banner: Part = () => h("div", { class: "ov-banner" });
