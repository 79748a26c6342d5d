// What a person would complain about in a page, measured in the page itself: it runs there, also where scripts are off.
export function faultsOf({ dark }) {
  const faults = [];
  const name = (e) => `<${e.tagName.toLowerCase()}${e.id ? "#" + e.id : ""}> ${JSON.stringify((e.textContent || e.value || "").trim().slice(0, 40))}`;
  const pixel = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const channels = (color) => {
    pixel.clearRect(0, 0, 1, 1);
    pixel.fillStyle = color;
    pixel.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pixel.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], under) => [r, g, b].map((c, i) => c * a + under[i] * (1 - a));
  const behind = (e) => { // the background that is seen behind an element
    const layers = [];
    for (; e; e = e.parentElement) layers.push(channels(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((under, layer) => over(layer, under), dark ? [18, 18, 18] : [255, 255, 255]);
  };
  const luminance = (rgb) => { // WCAG 2.2, relative luminance
    const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const shown = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && e.getBoundingClientRect().height > 0;

  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) faults.push(`it is ${root.scrollWidth} px wide in a window of ${root.clientWidth}`);
  if (!document.title.trim()) faults.push("it has no title");
  if (!root.lang) faults.push("it doesn't say its language");
  const headings = document.querySelectorAll("h1").length;
  if (headings !== 1) faults.push(`it has ${headings} h1`);
  const ground = luminance(behind(document.body));
  if (dark ? ground > 0.1 : ground < 0.7) faults.push(`its ground has the luminance ${ground.toFixed(2)} where the scheme is ${dark ? "dark" : "light"}`);

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let t = texts.nextNode(); t; t = texts.nextNode()) {
    const e = t.parentElement;
    if (!t.data.trim() || e.closest("style, script, noscript, template") || !shown(e)) continue;
    const style = getComputedStyle(e);
    const ratio = contrast(over(channels(e.namespaceURI.endsWith("svg") ? style.fill : style.color), behind(e)), behind(e));
    if (ratio < 4.5) faults.push(`the contrast of ${name(e)} is ${ratio.toFixed(2)}`);
    const range = document.createRange();
    range.selectNodeContents(t);
    for (const box of range.getClientRects()) {
      if (box.width && (box.left < 0 || box.right > root.clientWidth)) faults.push(`${name(e)} is cut off`);
    }
  }
  const beside = (e) => [...e.parentElement.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
  for (const e of document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary")) {
    if (!shown(e) || (getComputedStyle(e).display === "inline" && beside(e))) continue; // WCAG 2.5.8 excepts a sentence's
    const { height } = e.getBoundingClientRect();
    if (height < 44) faults.push(`${name(e)} is ${height.toFixed(1)} px high`);
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(e.tagName) && !e.labels.length && !e.value) faults.push(`${name(e)} has no label`);
  }
  return faults;
}
