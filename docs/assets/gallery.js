/* Live pages in frames: they get the colours of this page, as the fragment of their address, and the height that they ask for. */
(() => {
  const frames = [...document.querySelectorAll("iframe.rfwidget-live")];
  const links = [...document.querySelectorAll("a[target]")];
  const loaded = new Set();
  const addresses = new Map(frames.map((frame) => [frame, frame.src]));
  const coloured = (address) => {
    const dark = document.body.dataset.mdColorScheme === "slate";
    return `${address.split("#")[0]}${dark ? "#dark" : "#light"}`;
  };

  const paint = () => {
    for (const frame of frames) {
      const address = coloured(addresses.get(frame));
      if (loaded.has(frame)) frame.contentWindow.location.replace(address); /* only the fragment: nothing loads again */
      else frame.src = address; /* stays lazy */
    }
    for (const link of links) if (link.target !== "_blank") link.href = coloured(link.href);
  };

  document.addEventListener("click", ({ target }) => {
    const link = target.closest?.("a[target]");
    const frame = link && frames.find(({ name }) => name === link.target);
    if (frame) addresses.set(frame, link.href);
  });

  window.addEventListener("message", ({ source, data }) => {
    const frame = frames.find(({ contentWindow }) => contentWindow === source);
    if (!frame || data?.type !== "rfwidget-height" || !Number.isFinite(data.height)) return;
    loaded.add(frame);
    frame.style.height = `${Math.min(Math.max(data.height, 200), 4000)}px`;
  });

  new MutationObserver(paint).observe(document.body, { attributeFilter: ["data-md-color-scheme"] });
  paint();
})();
