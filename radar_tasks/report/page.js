"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;

  // Elements are made here and text is set as text: nothing from data is ever read as HTML.
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const SVG = "http://www.w3.org/2000/svg";
  const makeSvg = (tag, attributes) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };

  // ---- theme -------------------------------------------------------------------------------------------------------
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  const theme = () => chosen || (system.matches ? "dark" : "light");
  const applyTheme = () => { root.dataset.theme = theme(); drawCharts(); };
  document.getElementById("theme").addEventListener("click", () => {
    chosen = theme() === "dark" ? "light" : "dark";
    applyTheme();
  });
  system.addEventListener("change", applyTheme);

  // ---- charts ------------------------------------------------------------------------------------------------------
  const places = [];
  for (const panels of document.querySelectorAll("[data-figure]")) {
    const specs = data.figures[panels.dataset.figure];
    panels.querySelectorAll(".chart").forEach((place, k) => places.push([place, specs[k]]));
    addTable(panels.parentElement.querySelector(".as-table"), specs);
  }
  let drawing = 0;
  async function drawCharts() {
    const mine = ++drawing;
    for (const [place, panel] of places) {
      if (mine !== drawing) return;
      // `ast`: expressions are interpreted, so that the page's policy can forbid eval.
      await vegaEmbed(place, panel.spec, {
        renderer: "svg", ast: true, config: data.themes[theme()],
        actions: { export: true, source: false, compiled: false, editor: false },
      });
      place.style.minHeight = "";
      await new Promise((resolve) => setTimeout(resolve));
    }
    root.dataset.ready = theme();
  }

  function addTable(details, specs) {
    if (!details || !specs.some((panel) => panel.columns.length)) return;
    details.hidden = false;
    details.addEventListener("toggle", () => {
      const into = details.querySelector("div");
      if (!details.open || into.firstChild) return;
      for (const panel of specs) if (panel.columns.length) into.append(tableOf(panel));
    });
  }

  function tableOf(panel) {
    const datasets = Object.values(panel.spec.datasets || {});
    const fits = (rows) => rows.length && panel.columns.every((name) => name in rows[0]);
    const rows = datasets.filter(fits).sort((a, b) => b.length - a.length)[0] || [];
    const scroll = make("div", "scroll"), table = make("table");
    scroll.tabIndex = 0;
    if (panel.title) table.append(make("caption", "", panel.title));
    const line = (cells, tag) => {
      const tr = make("tr");
      for (const cell of cells) tr.append(make(tag, "", cell === null ? "–" : String(cell)));
      return tr;
    };
    const head = make("thead"), body = make("tbody");
    head.append(line(panel.columns, "th"));
    for (const row of rows) body.append(line(panel.columns.map((name) => row[name]), "td"));
    table.append(head, body);
    scroll.append(table);
    return scroll;
  }

  // ---- questions ---------------------------------------------------------------------------------------------------
  const { runs, sources, images, questions } = data.gallery;
  const PAGE = 24;
  const form = document.getElementById("filters");
  const [SOURCE, ID, CATEGORY, TEXT, PICTURES, OPTIONS, ANSWER, PROBABILITIES] = [0, 1, 2, 3, 4, 5, 6, 7];
  let found = [], first = 0;

  const isRight = (question, run) => {
    const p = question[PROBABILITIES][run];
    return p && p.every((value, k) => k === question[ANSWER] || value < p[question[ANSWER]]);
  };

  function fill(select, entries) {
    select.replaceChildren(...entries.map(([value, label]) => {
      const option = make("option", "", label);
      option.value = value;
      return option;
    }));
  }

  function fillCategories() {
    const chosen = form.source.value;
    const names = new Set(questions.filter((q) => chosen === "" || q[SOURCE] === +chosen).map((q) => q[CATEGORY]));
    names.delete("");
    fill(form.category, [["", "all"], ...[...names].sort().map((name) => [name, name])]);
    form.category.disabled = names.size === 0;
  }

  function setUp() {
    const many = new Set(runs.map((run) => run.experiment)).size > 1;
    const name = (run) => (many ? `${run.experiment.split("/").pop()} · ${run.label}` : run.label);
    const entries = runs.map((run, k) => [String(k), name(run)]);
    for (const select of [form.run, form.from, form.to]) fill(select, entries);
    fill(form.source, [["", "all"], ...sources.map((source, k) => [String(k), `${source.name} (${source.ability})`])]);
    reset();
    form.addEventListener("input", (event) => {
      if (event.target === form.source) fillCategories();
      select();
    });
    form.addEventListener("reset", () => setTimeout(() => { reset(); select(); }));
    form.addEventListener("submit", (event) => event.preventDefault());
    document.getElementById("before").addEventListener("click", () => turn(-PAGE));
    document.getElementById("after").addEventListener("click", () => turn(PAGE));
    select();
  }

  function reset() {
    const last = runs.length - 1;
    const start = runs.findIndex((run) => run.experiment === runs[last].experiment);
    form.run.value = form.to.value = String(last);
    form.from.value = String(start);
    form.source.value = "";
    fillCategories();
  }

  function select() {
    const run = +form.run.value, from = +form.from.value, to = +form.to.value;
    const wanted = form.search.value.trim().toLowerCase();
    const tests = [
      (q) => form.source.value === "" || q[SOURCE] === +form.source.value,
      (q) => form.category.value === "" || q[CATEGORY] === form.category.value,
      (q) => form.outcome.value === "" || (q[PROBABILITIES][run] && (form.outcome.value === "right") === !!isRight(q, run)),
      (q) => {
        if (form.change.value === "") return true;
        if (!q[PROBABILITIES][from] || !q[PROBABILITIES][to]) return false;
        const before = !!isRight(q, from), after = !!isRight(q, to);
        return form.change.value === "gained" ? !before && after : before && !after;
      },
      (q) => !wanted || [q[ID], ...q[TEXT], ...q[OPTIONS]].some((text) => text.toLowerCase().includes(wanted)),
    ];
    found = questions.filter((q) => tests.every((test) => test(q)));
    if (form.order.value) {
      const sure = (q) => (q[PROBABILITIES][run] ? q[PROBABILITIES][run][q[ANSWER]] : -1);
      const sign = form.order.value === "low" ? 1 : -1;
      found = [...found].sort((a, b) => sign * (sure(a) - sure(b)));
    }
    first = 0;
    show();
  }

  function turn(by) {
    first = Math.max(0, Math.min(first + by, found.length - 1));
    show();
    document.getElementById("questions").scrollIntoView();
  }

  function show() {
    const run = +form.run.value;
    const right = found.filter((q) => isRight(q, run)).length;
    const share = found.length ? `, ${right.toLocaleString("en")} right (${Math.round((100 * right) / found.length)} %)` : "";
    document.getElementById("count").textContent =
      `${found.length.toLocaleString("en")} of ${questions.length.toLocaleString("en")} questions${share} at ${runs[run].label}`;
    document.getElementById("cards").replaceChildren(...found.slice(first, first + PAGE).map((q) => card(q, run)));
    document.getElementById("before").disabled = first === 0;
    document.getElementById("after").disabled = first + PAGE >= found.length;
    document.getElementById("page").textContent =
      found.length ? `${first + 1}–${Math.min(first + PAGE, found.length)}` : "none";
  }

  function card(question, run) {
    const box = make("article", "card");
    const p = question[PROBABILITIES][run];
    const about = make("p", "about");
    about.append(make("span", "", [sources[question[SOURCE]].name, question[CATEGORY], question[ID]].filter(Boolean).join(" · ")));
    about.append(p ? make("span", isRight(question, run) ? "badge right" : "badge", isRight(question, run) ? "✓ right" : "✗ wrong") : make("span", "badge", "not asked"));
    box.append(about);
    if (question[PICTURES].length) box.append(pictures(question));
    const text = make("p", "text");
    text.dir = "auto";
    text.tabIndex = 0;
    question[TEXT].forEach((piece, k) => {
      if (k > 0) text.append(make("b", "", ` [picture ${k}] `));
      text.append(piece);
    });
    box.append(text, options(question, p), history(question, run));
    return box;
  }

  function pictures(question) {
    const box = make("div", "pictures");
    question[PICTURES].forEach((place, k) => {
      const image = make("img");
      image.alt = `Picture ${k + 1} of question ${question[ID]}`;
      image.addEventListener("load", () => image.classList.toggle("tiny", image.naturalWidth <= 96));
      image.src = images[place];
      box.append(image);
    });
    return box;
  }

  function options(question, p) {
    const list = make("ul", "options");
    question[OPTIONS].forEach((option, k) => {
      const item = make("li", k === question[ANSWER] ? "answer" : "");
      const name = make("span", "name", option);
      name.dir = "auto";
      if (k === question[ANSWER]) name.prepend(make("span", "", "✓ "));
      item.append(name, make("span", "p", p ? (p[k] / 1000).toFixed(2) : "–"));
      const track = make("div", "track"), bar = make("div", "fill");
      bar.style.width = `${p ? p[k] / 10 : 0}%`;
      track.append(bar);
      item.append(track);
      list.append(item);
    });
    return list;
  }

  // The options' probabilities over the checkpoints of one experiment: right answer in colour, distractors grey.
  function history(question, run) {
    const mine = runs.map((other, k) => [other, k]).filter(([other, k]) => other.experiment === runs[run].experiment && question[PROBABILITIES][k]);
    const svg = makeSvg("svg", { viewBox: "0 0 320 74", role: "img", preserveAspectRatio: "none" });
    const values = mine.map(([, k]) => question[PROBABILITIES][k]);
    const name = values.map((p, i) => `${mine[i][0].label}: ${(p[question[ANSWER]] / 1000).toFixed(2)}`).join(", ");
    svg.append(Object.assign(makeSvg("title", {}), { textContent: `Probability of the right answer. ${name}` }));
    const x = (i) => (mine.length > 1 ? 6 + (308 * i) / (mine.length - 1) : 160);
    const y = (p) => 56 - (52 * p) / 1000;
    const chance = y(1000 / question[OPTIONS].length);
    const style = "vector-effect:non-scaling-stroke;fill:none;";
    svg.append(makeSvg("line", { x1: 6, x2: 314, y1: chance, y2: chance, style: `${style}stroke:var(--muted);stroke-dasharray:4 4;opacity:.6` }));
    question[OPTIONS].forEach((_, k) => {
      const isAnswer = k === question[ANSWER];
      const points = values.map((p, i) => `${x(i)},${y(p[k])}`).join(" ");
      const stroke = isAnswer ? "stroke:var(--right);stroke-width:2.5" : "stroke:var(--wrong);stroke-width:1.2";
      if (values.length > 1) svg.append(makeSvg("polyline", { points, style: `${style}${stroke}` }));
    });
    values.forEach((p, i) => {
      const here = mine[i][1] === run;
      if (here || values.length === 1) svg.append(makeSvg("circle", { cx: x(i), cy: y(p[question[ANSWER]]), r: 4, style: "fill:var(--right)" }));
    });
    if (mine.length > 1) {
      const label = (i, anchor) => svg.append(Object.assign(makeSvg("text", { x: x(i), y: 71, "text-anchor": anchor }), { textContent: mine[i][0].label }));
      label(0, "start");
      label(mine.length - 1, "end");
    }
    return svg;
  }

  if (form) setUp();
  applyTheme();
})();
