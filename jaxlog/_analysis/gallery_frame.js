// In a notebook: tells the page in the frame before this script whether the notebook is dark.
(() => {
  const frame = document.currentScript?.previousElementSibling;
  if (!frame) return;
  const isDark = () => {
    for (let element = frame; element; element = element.parentElement) {
      const [red, green, blue, alpha = 1] =
        (getComputedStyle(element).backgroundColor.match(/[\d.]+/g) || []).map(Number);
      if (red !== undefined && alpha > 0.5) return 0.3 * red + 0.6 * green + 0.1 * blue < 128;
    }
    return matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const tell = () => frame.contentWindow?.postMessage({ jaxlogTheme: isDark() ? "dark" : "light" }, "*");
  addEventListener("message", (event) => {
    if (event.source === frame.contentWindow && event.data === "jaxlog asks for the theme") tell();
  });
  const observer = new MutationObserver(() => {
    if (frame.isConnected) tell();
    else observer.disconnect();
  });
  for (const element of [document.documentElement, document.body])
    observer.observe(element, { attributes: true });
  tell();
})();
