/* Amounts of money and counts in three digits, as the text around the charts has them. */
const SIZES = [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"], [1, ""]];
function amount(value) {
  if (typeof value !== "number") return "–";
  const [size, letter] = SIZES.find(([least]) => Math.abs(value) >= 0.9995 * least) ?? [1, ""];
  return String(Number((value / size).toPrecision(3))).replace("-", "−") + letter;
}

/* A change as per cent, with its sign. */
function change(value) {
  if (typeof value !== "number") return "–";
  const shown = Number((100 * value).toFixed(1));
  return (shown > 0 ? "+" : "") + String(shown).replace("-", "−") + "%";
}

const views = [];
const config = { ...CONFIG, font: getComputedStyle(document.body).fontFamily };

for (const data of document.querySelectorAll("figure > script")) {
  const place = data.parentElement.querySelector(".plot");
  vegaEmbed(place, JSON.parse(data.textContent), {
    mode: "vega-lite", renderer: "svg", actions: false, defaultStyle: false, config,
    expressionFunctions: { amount, change, words: String },
    tooltip: { id: "tip", disableDefaultStyle: true, offsetX: 14, offsetY: 14 },
  }).then((made) => views.push(made.view)).catch((error) => console.error(error));
}

/* One click on a name in the key: all marks and numbers that are not its step back. */
let lit = null;
for (const button of document.querySelectorAll(".key button")) {
  button.addEventListener("click", () => {
    lit = lit === button.dataset.of ? null : button.dataset.of;
    for (const each of document.querySelectorAll(".key button"))
      each.setAttribute("aria-pressed", String(each.dataset.of === lit));
    for (const each of document.querySelectorAll("[data-of]:not(button)"))
      each.classList.toggle("dim", lit !== null && each.dataset.of !== lit);
    for (const view of views)
      if ("lit" in view.getState({ signals: (name) => name === "lit" }).signals) view.signal("lit", lit).run();
  });
}

for (const button of document.querySelectorAll(".code button")) {
  button.addEventListener("click", async () => {
    const text = button.parentElement.querySelector("pre");
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(text);
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 2000);
  });
}
