// Numbers and words for people.

const SUPERSCRIPT = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

/** Three significant digits, a true minus sign, powers of ten beyond 10⁻³ … 10⁵. */
export function show(value, digits = 3) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (value === Infinity) return "∞";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) {
    const [mantissa, exponent] = value.toExponential(Math.max(digits - 2, 0)).split("e");
    const power = [...String(Number(exponent))].map((c) => SUPERSCRIPT[c]).join("");
    return `${mantissa.replace("-", "−")}·10${power}`;
  }
  const places = size === 0 ? 0 : Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  return value.toFixed(Math.min(places, 6)).replace("-", "−");
}

/** The same without zeros at the end: for numbers that somebody sets, which do not run along. */
export const brief = (value, digits = 3) => show(value, digits).replace(/(\.\d*?)0+(?=·|$)/, "$1").replace(/\.(?=·|$)/, "");

export const percent = (value) => `${Math.round(100 * value)} %`;
export const degrees = (value) => (value === null ? "undefined" : `${Math.round(value)}°`);

/** About `count` round numbers between low and high. */
export function ticks(low, high, count) {
  const span = high - low;
  if (!(span > 0)) return [low];
  const raw = span / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw) ?? 10 * power;
  const out = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * span; i++) out.push(i * step);
  return out;
}

/** A tick's text: as few digits as its step needs. */
export function tickText(value, step) {
  if (value === 0) return "0";
  if (Math.abs(value) >= 1e5 || step < 1e-4) return show(value, 2);
  const places = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return value.toFixed(places).replace("-", "−");
}
