// The panels of the dashboard, drawn by Grafana's own components from the data of data.py.
import React from "react";
import { createRoot } from "react-dom/client";
import { createTheme, toDataFrame, FieldType, dateTime, ThemeContext, getDisplayProcessor } from "@grafana/data";
import { TimeSeries, BigValue, BarGauge, PanelChrome } from "@grafana/ui";
// The components look for it.
window.grafanaBootData = window.grafanaBootData || { settings: {}, user: {} };
const theme = createTheme({ colors: { mode: "light" } });
window.draw = (spec) => {
  const App = () => (
    <ThemeContext.Provider value={theme}>
      <div id="page" style={{ position: "relative", width: spec.width, height: spec.height, background: theme.colors.background.canvas }}>
        {spec.panels.map((p) => <Panel key={p.id} p={p} spec={spec} />)}
      </div>
    </ThemeContext.Provider>
  );
  createRoot(document.getElementById("root")).render(<App />);
};
function Panel({ p, spec }) {
  const style = { position: "absolute", left: p.left, top: p.top, width: p.width, height: p.height };
  return <div style={style} data-panel={p.id} data-title={p.title}>
    <PanelChrome title={p.title} width={p.width} height={p.height} padding="md">
      {(w, h) => <div data-body><Body p={p} spec={spec} w={w} h={h} /></div>}
    </PanelChrome></div>;
}
function frames(p) {
  return p.series.map((s, at) => {
    const frame = toDataFrame({ refId: s.refId, fields: [
      { name: "Time", type: FieldType.time, values: s.times },
      { name: s.name, type: FieldType.number, values: s.values } ] });
    frame.fields.forEach((field) => {
      field.config = { ...p.fieldConfig.defaults, displayNameFromDS: s.name, custom: { ...(p.fieldConfig.defaults.custom || {}) } };
      field.state = { seriesIndex: at, displayName: s.name };
      field.display = getDisplayProcessor({ field, theme, timeZone: "utc" });
    });
    return frame;
  });
}
function Body({ p, spec, w, h }) {
  const data = frames(p);
  if (!data.length) return <div style={{ color: theme.colors.text.secondary }}>No data</div>;
  if (p.type === "timeseries") {
    return <TimeSeries width={w} height={h} frames={data} timeRange={{ from: dateTime(spec.from), to: dateTime(spec.to), raw: { from: "", to: "" } }} timeZone="utc"
      legend={{ ...p.options.legend }} options={p.options}>{() => null}</TimeSeries>;
  }
  const values = data.map((f) => { const field = f.fields[1]; const v = field.values[field.values.length - 1];
    const d = (field.display ?? getDisplayProcessor({ field, theme, timeZone: "utc" }))(v); return { ...d, title: field.config.displayNameFromDS, field: field.config, display: field.display }; });
  if (p.type === "stat") {
    const each = w / values.length;
    return <div style={{ display: "flex" }}>{values.map((v, n) => <BigValue key={n} theme={theme} width={each - 4} height={h} value={{ ...v, title: values.length > 1 ? v.title : undefined }} colorMode="background" graphMode="none" justifyMode="auto" textMode={values.length > 1 ? "value_and_name" : "value"} />)}</div>;
  }
  if (p.type === "bargauge") {
    const row = Math.max(14, Math.min(30, h / values.length - 4));
    return <div>{values.slice(0, Math.floor(h / (row + 4))).map((v, n) => <BarGauge key={n} theme={theme} width={w} height={row} value={v} field={{ ...v.field, min: 0, max: p.max }} display={v.display} orientation="horizontal" displayMode="gradient" itemSpacing={4} lcdCellWidth={12} text={{}} alignmentFactors={{ title: "a long name of a series", text: v.text }} />)}</div>;
  }
  return <table style={{ fontSize: 12 }}><tbody>{values.map((v, n) => <tr key={n}><td>{v.title}</td></tr>)}</tbody></table>;
}
