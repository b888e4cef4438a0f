// From a head's predictions of one image to answers, as `adapters/heads` makes them.
import { objects } from "./boxes.mjs";
import { regions } from "./regions.mjs";

/** What a page can show, by the kind of its head. */
const KINDS = {
  classification: (labels, { logits }) => ({ rows: probable(labels, logits.values) }),
  fpnlite: (labels, predictions, view, settings) => found(labels, predictions, view, settings, false),
  segmentation: (labels, { logits }, view) => covered(labels, logits, view),
  ssdlite: (labels, predictions, view, settings) =>
    found(labels, predictions, view, settings, settings.scores !== "sigmoid"),
};

/**
 * What is said of one image: `rows`, [{label, share}], the most telling first; and where a head tells
 * places, in pixels of the picture that `view` is of, `boxes`, [{number, said, box}], the surest
 * first, or `mask`, the number of each pixel's label, -1 where none was seen.
 *
 * `head` is {kind, settings}, `predictions` {name: {shape, values}}. Throws for an unknown kind, and
 * where what is predicted is not finite.
 */
export function answered({ kind, settings }, labels, predictions, view) {
  const answer = KINDS[kind];
  if (answer === undefined) throw new Error(`this page shows no answers of the kind ${kind}`);
  for (const { values } of Object.values(predictions)) {
    if (!values.every(Number.isFinite)) {
      throw new Error("what is predicted is not finite: the patch does not suit such pictures");
    }
  }
  return answer(labels, predictions, view, settings);
}

/** All labels with their probabilities, best first. */
function probable(labels, logits) {
  const largest = logits.reduce((most, logit) => Math.max(most, logit), -Infinity);
  const scores = Array.from(logits, (logit) => Math.exp(logit - largest));
  const whole = scores.reduce((sum, score) => sum + score);
  return ordered(labels.map((label, index) => ({ label, share: scores[index] / whole })));
}

function found(labels, predictions, view, { threshold }, background) {
  const boxes = objects(predictions, view, background, threshold ?? undefined);
  return {
    rows: boxes.map(({ number, score }) => ({ label: labels[number], share: score })),
    boxes: boxes.map(({ number, score, box }) => {
      return { number, said: `${labels[number]} ${(100 * score).toFixed(0)} %`, box };
    }),
  };
}

function covered(labels, logits, view) {
  const { shares, mask } = regions(logits, view);
  return { rows: ordered(labels.map((label, index) => ({ label, share: shares[index] }))), mask };
}

const ordered = (rows) => rows.sort((one, other) => other.share - one.share);
