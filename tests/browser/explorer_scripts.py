"""What the explorer's browser tests run inside the page."""

DRAG = """async (count) => {
  const handle = document.querySelector('.fwx-omega');
  const box = document.querySelector('.fwx-stage').getBoundingClientRect();
  handle.setPointerCapture = () => {};
  const send = (type, x, y) => handle.dispatchEvent(new PointerEvent(type, {
    pointerId: 1, button: 0, buttons: 1, clientX: x, clientY: y, bubbles: true,
    pointerType: 'mouse',
  }));
  const frame = () => new Promise(requestAnimationFrame);
  send('pointerdown', box.left + box.width / 2, box.top + box.height / 2);
  const times = [];
  let last = await frame();
  for (let i = 0; i < count; i++) {
    const x = box.left + box.width * (0.5 + 0.4 * Math.cos(i / 20));
    send('pointermove', x, box.top + box.height * (0.5 + 0.4 * Math.sin(i / 17)));
    const now = await frame();
    times.push(now - last);
    last = now;
  }
  send('pointerup', 0, 0);
  return times;
}"""

CONTRAST = """() => {
  const parse = (c) => c.match(/[\\d.]+/g).map(Number);
  const over = (top, base) => {
    const a = top[3] ?? 1;
    return [0, 1, 2].map((i) => top[i] * a + base[i] * (1 - a));
  };
  const ground = (el) => {
    const layers = [];
    for (let e = el; e; e = e.parentElement) layers.unshift(getComputedStyle(e).backgroundColor);
    return layers.map(parse).reduce((base, top) => over(top, base), [255, 255, 255]);
  };
  const luminance = (c) => {
    const [r, g, b] = c.map((v) => v / 255).map((v) =>
      v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  let worst = { ratio: 99 };
  for (const el of document.querySelectorAll('.fwx *')) {
    const own = [...el.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !el.offsetParent || el.closest('.fwx-hidden')) continue;
    const back = ground(el);
    const text = over(parse(getComputedStyle(el).color), back);
    const [a, b] = [luminance(text), luminance(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < worst.ratio) worst = { ratio, text: el.textContent, class: el.className };
  }
  return worst;
}"""

RUN_VECTORS = """async ([surfaceSource, engineSource, { specs, cases }]) => {
  const load = (source) =>
    import(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })));
  const { makeSurface } = await load(surfaceSource);
  const { innerLoop, outerLoop } = await load(engineSource);
  const surfaces = Object.fromEntries(Object.entries(specs).map(([k, s]) => [k, makeSurface(s)]));
  const norm = (s) => (s.norm === 'inf' ? Infinity : s.norm);
  const difference = (mine, golden) => {
    if (Array.isArray(golden)) return Math.max(0, ...golden.map((v, i) => difference(mine[i], v)));
    if (golden !== null && typeof golden === 'object')
      return Math.max(...Object.keys(golden).map((k) => difference(mine[k], golden[k])));
    if (typeof golden !== 'number') return mine === golden ? 0 : Infinity;
    return Math.abs(mine - golden) / Math.max(1, Math.abs(golden));
  };
  const errors = [
    ...cases.inner.map(({ surface, start, settings, result }) => difference(
      innerLoop(surfaces[surface], start, { ...settings, norm: norm(settings) }), result)),
    ...cases.outer.map(({ surface, start, inner, outer, method, result }) => difference(
      outerLoop(surfaces[surface], start, inner, outer, method), result)),
  ];
  return Math.max(...errors);
}"""
