// Grafana's own types, but for enums, which JSON writes as their values.
import type { AnnotationQuery, Dashboard } from "@grafana/schema";

export type Written<T> = T extends string
  ? `${T}`
  : T extends (infer Item)[]
    ? Written<Item>[]
    : T extends object
      ? { [Key in keyof T]: Written<T[Key]> }
      : T;

// What the data source Prometheus reads of an annotation is in none of the types.
type PrometheusAnnotation = Omit<Written<AnnotationQuery>, "target"> & {
  target: { refId: "Anno"; expr: string };
  titleFormat: string;
  textFormat: string;
};

export type WrittenDashboard = Omit<Written<Dashboard>, "annotations"> & {
  annotations: { list: PrometheusAnnotation[] };
};
