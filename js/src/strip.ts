import { h } from "./dom";
import type { Part } from "./view";

export const strip: Part = () => h("div", { class: "ov-strip" });
