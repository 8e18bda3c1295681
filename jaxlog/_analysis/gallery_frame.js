// In a notebook: tells the page in the frame before this script whether the notebook is dark.
(() => {
  const frame = document.currentScript?.previousElementSibling;
  if (!frame) return;
  const brightness = (colour) => {
    const [red, green, blue, alpha = 1] = (colour.match(/[\d.]+/g) || []).map(Number);
    return red === undefined || alpha <= 0.5 ? null : 0.3 * red + 0.6 * green + 0.1 * blue;
  };
  // The element around another one, also of a notebook that shows outputs in frames of their own.
  const around = (element) => {
    if (element.parentElement) return element.parentElement;
    try {
      return element.ownerDocument.defaultView.frameElement;
    } catch {
      return null; // of another origin
    }
  };
  const isDark = () => {
    for (let element = frame; element; element = around(element)) {
      const found = brightness(getComputedStyle(element).backgroundColor);
      if (found !== null) return found < 128;
    }
    const text = brightness(getComputedStyle(frame.parentElement).color);
    return text > 128 || matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const tell = () => frame.contentWindow?.postMessage({ jaxlogTheme: isDark() ? "dark" : "light" }, "*");
  addEventListener("message", (event) => {
    if (event.source === frame.contentWindow && event.data === "jaxlog asks for the theme") tell();
  });
  const observer = new MutationObserver(() => {
    if (frame.isConnected) tell();
    else observer.disconnect();
  });
  for (let element = frame; element; element = around(element))
    if (!around(element) || element.localName === "body" || element.localName === "html")
      observer.observe(element, { attributes: true });
  tell();
})();
