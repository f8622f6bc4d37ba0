// A page to play with: sliders choose among pictures that were computed beforehand.
document.querySelectorAll(".player").forEach((root) => {
  const page = window.bellman[root.dataset.page];
  const at = Object.fromEntries(page.sliders.map((s) => [s.name, s.start]));
  const size = Object.fromEntries(page.sliders.map((s) => [s.name, s.values.length]));
  const pick = ({ by, frames }) =>
    frames[by.reduce((index, name) => index * size[name] + at[name], 0)];
  const add = (tag, parent, more) =>
    parent.appendChild(Object.assign(document.createElement(tag), more));

  const controls = add("div", root, { className: "controls" });
  const inputs = {};
  page.sliders.forEach((slider) => {
    const label = add("label", controls, {});
    const named = add("span", label, {});
    const input = add("input", label, { type: "range", min: 0 });
    Object.assign(input, { max: slider.values.length - 1, step: 1, value: slider.start });
    inputs[slider.name] = { slider, named, input };
    input.addEventListener("input", () => {
      at[slider.name] = Number(input.value);
      draw();
    });
  });
  const picture = add("div", root, { className: "picture" });
  const caption = add("p", root, { className: "said" });
  caption.setAttribute("role", "status");
  picture.setAttribute("role", "img");

  const colour = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();
  function draw() {
    for (const { slider, named, input } of Object.values(inputs)) {
      const value = slider.values[at[slider.name]];
      named.textContent = `${slider.name} = ${value}`;
      input.value = at[slider.name];
      input.setAttribute("aria-valuetext", value);
    }
    caption.textContent = pick(page.caption);
    picture.setAttribute("aria-label", caption.textContent);
    const line = { gridcolor: colour("--color-background-border"), zerolinecolor: colour("--color-foreground-muted") };
    const layout = {
      height: 430, margin: { l: 55, r: 15, t: 15, b: 50 }, dragmode: false,
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: colour("--color-foreground-primary"), size: 14 },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
      ...page.layout,
    };
    for (const key of Object.keys(layout).filter((key) => /axis/.test(key)))
      layout[key] = { ...line, fixedrange: true, ...layout[key] };
    const coloured = (style) =>
      JSON.parse(JSON.stringify(style).replace(/"(--\w+)"/g, (_, name) => JSON.stringify(colour(name))));
    const traces = page.traces.map((trace) => ({ ...coloured(trace.style), ...pick(trace) }));
    Plotly.react(picture, traces, layout, { responsive: true, displayModeBar: false });
  }

  if (page.play) {
    const button = add("button", controls, { type: "button", textContent: "Play" });
    let timer = 0;
    const stop = () => { clearInterval(timer); timer = 0; button.textContent = "Play"; };
    button.addEventListener("click", () => {
      if (timer) return stop();
      if (at[page.play] === size[page.play] - 1) at[page.play] = -1;
      button.textContent = "Stop";
      timer = setInterval(() => {
        at[page.play] += 1;
        draw();
        if (at[page.play] === size[page.play] - 1) stop();
      }, 500);
    });
  }
  new MutationObserver(draw).observe(document.body, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
});
