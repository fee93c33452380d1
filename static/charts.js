// Draws what an element with data-chart describes (admin/charts.py). The table beneath says the same without it.

const NARROW = 480;
const drawn = new Map();
const dark = matchMedia("(prefers-color-scheme: dark)");
const still = matchMedia("(prefers-reduced-motion: reduce)");

const isAcross = (chart) => chart.kind === "bars" || chart.kind === "dots";
const isNumeric = (chart) => !chart.labels?.length;

function palette(element) {
  const style = getComputedStyle(element);
  const value = (name) => style.getPropertyValue(name).trim();
  return {
    of: (name) => value(`--chart-${name}`),
    text: value("--nudge-text"),
    muted: value("--nudge-text-muted"),
    line: value("--nudge-border"),
    surface: value("--nudge-surface"),
    font: style.fontFamily,
  };
}

const faded = (colour, share) => `color-mix(in srgb, ${colour} ${share * 100}%, transparent)`;

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const ratio = new Intl.NumberFormat("en", { maximumFractionDigits: 2 });
const WRITE = {
  number: (value) => number.format(value),
  percent: (value) => `${number.format(value * 100)} %`,
  points: (value) => `${value > 0 ? "+" : value < 0 ? "−" : ""}${number.format(Math.abs(value * 100))}`,
  ratio: (value) => ratio.format(value),
};

function written(chart, value, low, high) {
  const write = WRITE[chart.unit ?? "number"];
  if (value === null || value === undefined) return "–";
  return low == null || high == null ? write(value) : `${write(value)} (${write(low)} to ${write(high)})`;
}

// A label that is too long for its place is broken into two lines; the table has all of it.
function broken(text, most) {
  const lines = [""];
  for (const word of text.split(" ")) {
    if (lines.at(-1) && lines.at(-1).length + word.length >= most) lines.push("");
    lines[lines.length - 1] += (lines.at(-1) ? " " : "") + word;
  }
  if (lines.length > 2) return [lines[0], `${lines[1]} …`];
  return lines.length > 1 ? lines : text;
}

function dataset(chart, series, colours) {
  const own = colours.of(series.colour ?? "main");
  const pale = chart.pale_from ?? Infinity;
  const each = series.values.map((_, place) => {
    const colour = series.colours ? colours.of(series.colours[place]) : own;
    return place < pale ? colour : faded(colour, 0.4);
  });
  const points = series.xs ? series.values.map((y, place) => ({ x: series.xs[place], y })) : series.values;
  const shared = { label: series.name, data: points, series, own, borderColor: own, backgroundColor: each };
  if (chart.kind === "lines") {
    const dash = series.is_dashed ? [6, 4] : [];
    const shape = { stepped: series.is_stepped ? "before" : false, borderDash: dash, borderWidth: 2.5, tension: 0 };
    const segment = { borderDash: ({ p1DataIndex: place }) => (place < pale ? dash : [4, 4]) };
    return { ...shared, ...shape, segment, pointRadius: series.xs ? 0 : 3, pointHitRadius: 12, spanGaps: false };
  }
  if (chart.kind === "scatter") return { ...shared, pointRadius: 5, pointHoverRadius: 7 };
  if (chart.kind === "dots") {
    // Points of a lying chart: a line that is not drawn.
    return { ...shared, type: "line", showLine: false, pointRadius: 6, pointHoverRadius: 8, pointBackgroundColor: each,
      pointBorderColor: colours.surface, pointBorderWidth: 2, indexAxis: "y" };
  }
  return { ...shared, borderWidth: 0, borderRadius: 3, maxBarThickness: 34, categoryPercentage: 0.82, barPercentage: 0.9 };
}

// Every value that must have room: intervals, and what they are compared with.
function ends(chart) {
  const all = chart.series.flatMap((each) => [...each.values, ...(each.low ?? []), ...(each.high ?? [])]);
  return [...all, ...(chart.levels ?? []).map((level) => level.value)].filter((value) => value != null);
}

function axes(chart, colours, width) {
  const grid = { color: colours.line, drawTicks: false };
  const none = { display: false };
  const ticks = { color: colours.muted, padding: 6 };
  const title = (text) => ({ display: Boolean(text), text, color: colours.muted });
  const write = (unit) => (value) => WRITE[unit ?? "number"](value);
  const values = {
    beginAtZero: chart.kind === "bars" || chart.kind === "columns",
    min: chart.least,
    max: chart.most,
    suggestedMin: Math.min(...ends(chart)),
    suggestedMax: Math.max(...ends(chart)),
    grid,
    border: none,
    title: title(chart.title),
    ticks: { ...ticks, maxTicksLimit: isAcross(chart) && width < NARROW ? 5 : 8, callback: write(chart.unit) },
  };
  const other = isNumeric(chart)
    ? { type: "linear", grid: none, border: { color: colours.line }, title: title(chart.x_title),
        ...(chart.has_diagonal ? { min: chart.least, max: chart.most, grid } : {}),
        ticks: { ...ticks, callback: write(chart.x_unit) } }
    : { type: "category", grid: none, border: { color: colours.line }, title: title(chart.x_title),
        offset: true, ticks: { ...ticks, color: colours.text, autoSkip: !isAcross(chart), maxRotation: 0 } };
  return isAcross(chart) ? { x: values, y: other } : { x: other, y: values };
}

function config(chart, colours, width) {
  const most = Math.max(17, Math.floor(width / 22));
  const labels = isAcross(chart) ? chart.labels?.map((label) => broken(label, most)) : chart.labels;
  const label = ({ dataset: { label: name, series }, dataIndex: place }) =>
    `${name}: ${written(chart, series.values[place], series.low?.[place], series.high?.[place])}`;
  const heading = ([first]) => {
    if (!isNumeric(chart)) return chart.labels[first.dataIndex];
    return `${chart.x_title ? `${chart.x_title}: ` : ""}${WRITE[chart.x_unit ?? "number"](first.parsed.x)}`;
  };
  return {
    type: { scatter: "scatter", lines: "line", dots: "line" }[chart.kind] ?? "bar",
    data: { labels, datasets: chart.series.map((series) => dataset(chart, series, colours)) },
    plugins: [beneath(chart, colours), whiskers(chart), words(chart, colours)],
    options: {
      indexAxis: isAcross(chart) ? "y" : "x",
      responsive: true,
      maintainAspectRatio: false,
      animation: still.matches ? false : { duration: 250 },
      layout: { padding: { top: chart.marks ? 36 : isAcross(chart) && (chart.levels || chart.zones) ? 20 : 4, right: isAcross(chart) && hasTexts(chart) ? room(chart) : 8 } },
      interaction: { mode: isNumeric(chart) ? "nearest" : "index", axis: isAcross(chart) ? "y" : "x", intersect: false },
      scales: axes(chart, colours, width),
      plugins: {
        legend: {
          display: chart.series.length > 1,
          align: "start",
          position: chart.marks || (isAcross(chart) && (chart.levels || chart.zones)) ? "bottom" : "top",
          labels: { color: colours.text, boxWidth: 14, boxHeight: 14, usePointStyle: true, pointStyle: "rectRounded" },
        },
        tooltip: { callbacks: { label, title: heading }, displayColors: chart.series.length > 1 },
      },
    },
  };
}

// On a phone there is no room beside long words: the table has them.
function fitted(chart, width) {
  const hasRoom = width >= NARROW || room(chart) < 80;
  const series = hasRoom ? chart.series : chart.series.map((each) => ({ ...each, texts: undefined }));
  return width >= NARROW ? chart : { ...chart, series, title: "", x_title: isAcross(chart) ? "" : chart.x_title };
}

const hasTexts = (chart) => chart.series.some((series) => series.texts?.length);
const room = (chart) => 10 + 7.5 * Math.max(...chart.series.flatMap((each) => (each.texts ?? []).map((text) => text.length)));

// The axes of a drawn chart: of its values, and the other one.
function scales(drawing, chart) {
  const { x, y } = drawing.scales;
  return isAcross(chart) ? { value: x, other: y } : { value: y, other: x };
}

// Behind the data: zones, bands of lines, levels to compare with, the diagonal.
function beneath(chart, colours) {
  return {
    id: "beneath",
    beforeDatasetsDraw(drawing) {
      const { ctx, chartArea: area } = drawing;
      const { value, other } = scales(drawing, chart);
      ctx.save();
      ctx.beginPath();
      ctx.rect(area.left, area.top, area.width, area.height);
      ctx.clip();
      for (const zone of chart.zones ?? []) {
        const [from, to] = [value.getPixelForValue(zone.low), value.getPixelForValue(zone.high)];
        ctx.fillStyle = faded(colours.of(zone.colour), 0.14);
        if (isAcross(chart)) ctx.fillRect(from, area.top, to - from, area.height);
        else ctx.fillRect(area.left, to, area.width, from - to);
      }
      if (chart.kind === "lines") for (const each of drawing.data.datasets) band(ctx, each, value, other);
      ctx.lineWidth = 1.5;
      ctx.setLineDash([5, 4]);
      for (const level of chart.levels ?? []) {
        ctx.strokeStyle = colours.of(level.colour ?? "quiet");
        const at = value.getPixelForValue(level.value);
        stroke(ctx, isAcross(chart) ? [at, area.top, at, area.bottom] : [area.left, at, area.right, at]);
      }
      if (chart.has_diagonal) {
        ctx.strokeStyle = colours.of("quiet");
        const [from, to] = [Math.max(value.min, other.min), Math.min(value.max, other.max)];
        stroke(ctx, [other.getPixelForValue(from), value.getPixelForValue(from),
          other.getPixelForValue(to), value.getPixelForValue(to)]);
      }
      ctx.restore();
    },
  };
}

function stroke(ctx, [fromX, fromY, toX, toY]) {
  ctx.beginPath();
  ctx.moveTo(fromX, fromY);
  ctx.lineTo(toX, toY);
  ctx.stroke();
}

function band(ctx, { series, own }, value, other) {
  if (!series.low?.length) return;
  const side = (ends) =>
    ends.flatMap((end, place) => {
      if (end === null) return [];
      const [x, y] = [other.getPixelForValue(series.xs?.[place] ?? place), value.getPixelForValue(end)];
      const before = place && ends[place - 1] !== null && series.is_stepped;
      return before ? [[x, value.getPixelForValue(ends[place - 1])], [x, y]] : [[x, y]];
    });
  const path = [...side(series.high), ...side(series.low).reverse()];
  ctx.fillStyle = faded(own, 0.18);
  ctx.beginPath();
  for (const [x, y] of path) ctx.lineTo(x, y);
  ctx.fill();
}

// The interval of each bar, dot or point.
function whiskers(chart) {
  return {
    id: "whiskers",
    [chart.kind === "dots" ? "beforeDatasetsDraw" : "afterDatasetsDraw"](drawing) {
      if (chart.kind === "lines") return;
      const { ctx } = drawing;
      const { value } = scales(drawing, chart);
      const text = getComputedStyle(drawing.canvas).color;
      for (const [index, { series, own }] of drawing.data.datasets.entries()) {
        for (const [place, element] of drawing.getDatasetMeta(index).data.entries()) {
          const [low, high] = [series.low?.[place], series.high?.[place]];
          if (low == null || high == null) continue;
          ctx.save();
          const isBar = chart.kind === "bars" || chart.kind === "columns";
          const colour = drawing.data.datasets[index].backgroundColor;
          ctx.strokeStyle = isBar ? text : Array.isArray(colour) ? colour[place] : own;
          ctx.lineWidth = isBar ? 1.5 : 3;
          const [from, to] = [value.getPixelForValue(low), value.getPixelForValue(high)];
          const { x, y } = element;
          const end = 4;
          if (isAcross(chart)) {
            stroke(ctx, [from, y, to, y]);
            for (const at of [from, to]) stroke(ctx, [at, y - end, at, y + end]);
          } else {
            stroke(ctx, [x, from, x, to]);
            for (const at of [from, to]) stroke(ctx, [x - end, at, x + end, at]);
          }
          ctx.restore();
        }
      }
    },
  };
}

// What stands in the picture in words: values, levels, zones, and what happened when.
function words(chart, colours) {
  return {
    id: "words",
    afterDatasetsDraw(drawing) {
      const { ctx, chartArea: area } = drawing;
      const { value, other } = scales(drawing, chart);
      ctx.save();
      ctx.font = `600 13px ${colours.font}`;
      ctx.textBaseline = "middle";
      for (const [index, { series }] of drawing.data.datasets.entries()) {
        for (const [place, element] of drawing.getDatasetMeta(index).data.entries()) {
          if (series.texts?.[place]) beside(ctx, chart, colours, element, series, place, value, area);
        }
      }
      ctx.font = `12px ${colours.font}`;
      for (const zone of chart.zones ?? []) {
        ctx.fillStyle = colours.muted;
        const middle = (value.getPixelForValue(zone.low) + value.getPixelForValue(zone.high)) / 2;
        ctx.textAlign = isAcross(chart) ? "center" : "end";
        if (isAcross(chart)) ctx.fillText(zone.text, middle, area.top - 9);
        else ctx.fillText(zone.text, area.right - 6, middle);
      }
      for (const level of chart.levels ?? []) {
        ctx.fillStyle = colours.muted;
        const at = value.getPixelForValue(level.value);
        ctx.textAlign = isAcross(chart) ? "center" : "end";
        if (isAcross(chart)) ctx.fillText(level.text, at, area.top - 9);
        else ctx.fillText(level.text, area.right - 4, at - 9);
      }
      let free = -Infinity;
      let row = 0;
      for (const mark of [...(chart.marks ?? [])].sort((one, two) => one.x - two.x)) {
        const x = place(other, chart, mark.x);
        const width = ctx.measureText(mark.text).width;
        row = x - width / 2 < free ? 1 - row : 0;
        free = x + width / 2 + 6;
        happened(ctx, colours, mark, x, row, area);
      }
      ctx.restore();
    },
  };
}

function beside(ctx, chart, colours, element, series, place, value, area) {
  const end = Math.max(series.values[place] ?? 0, series.high?.[place] ?? -Infinity);
  ctx.fillStyle = colours.text;
  if (isAcross(chart)) {
    ctx.textAlign = "start";
    ctx.fillText(series.texts[place], Math.max(value.getPixelForValue(end), area.left) + 8, element.y);
  } else {
    ctx.textAlign = "center";
    ctx.fillText(series.texts[place], element.x, value.getPixelForValue(end) - 10);
  }
}

// Between two labels there is no value: the place is reckoned from the one before.
function place(scale, chart, x) {
  if (isNumeric(chart)) return scale.getPixelForValue(x);
  const [first, second] = [scale.getPixelForValue(0), scale.getPixelForValue(1)];
  return first + x * (second - first);
}

function happened(ctx, colours, mark, x, row, area) {
  ctx.strokeStyle = ctx.fillStyle = colours.of(mark.colour);
  ctx.lineWidth = 1.5;
  ctx.setLineDash([2, 3]);
  stroke(ctx, [x, area.top - 6 - row * 14, x, area.bottom]);
  ctx.textAlign = "center";
  const width = ctx.measureText(mark.text).width + 4;
  ctx.fillStyle = colours.surface;
  ctx.fillRect(x - width / 2, area.top - 21 - row * 14, width, 14);
  ctx.fillStyle = colours.of(mark.colour);
  ctx.fillText(mark.text, x, area.top - 14 - row * 14);
}

function draw(place) {
  const chart = JSON.parse(place.dataset.chart);
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", chart.says);
  place.replaceChildren(canvas);
  const colours = palette(place);
  Object.assign(Chart.defaults.font, { family: colours.font, size: 13 });
  drawn.set(place, new Chart(canvas, config(fitted(chart, place.clientWidth), colours, place.clientWidth)));
}

function drawAll() {
  for (const [place, drawing] of drawn) {
    if (place.isConnected) continue;
    drawing.destroy();
    drawn.delete(place);
  }
  for (const place of document.querySelectorAll("[data-chart]")) if (!drawn.has(place)) draw(place);
}

function drawAnew() {
  for (const drawing of drawn.values()) drawing.destroy();
  drawn.clear();
  drawAll();
}

dark.addEventListener("change", drawAnew);
still.addEventListener("change", drawAnew);
document.addEventListener("htmx:after:swap", drawAll);
drawAll();
