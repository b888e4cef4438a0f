// From logits to answers.

/** The `count` most probable of `labels`, [{label, probability}], best first. */
export function best(labels, logits, count) {
  if (!logits.every(Number.isFinite)) {
    throw new Error("the logits are not finite: the patch does not suit such pictures");
  }
  const largest = Math.max(...logits);
  const scores = Array.from(logits, (logit) => Math.exp(logit - largest));
  const whole = scores.reduce((sum, score) => sum + score);
  return labels
    .map((label, index) => ({ label, probability: scores[index] / whole }))
    .sort((one, other) => other.probability - one.probability)
    .slice(0, count);
}
