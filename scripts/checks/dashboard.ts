// Grafana's own types, but for enums, which JSON writes as their values.
import type { Dashboard } from "@grafana/schema";

export type Written<T> = T extends string
  ? `${T}`
  : T extends (infer Item)[]
    ? Written<Item>[]
    : T extends object
      ? { [Key in keyof T]: Written<T[Key]> }
      : T;

export type WrittenDashboard = Written<Dashboard>;
