import CryptoKit
import Foundation

/// A backbone's graph, exported once for all tasks.
protocol Graph {
  /// How many classes a head may have.
  var classes: Int { get }

  /// The side of the images that it looks at, in pixels.
  var size: Int { get }

  /// Its logits, `classes` of them, for `images`, `head/w`, `head/b` and what patches bring.
  func run(_ inputs: [String: Values]) throws -> [Float]
}

struct Answer {
  let label: String
  let probability: Double
}

/// One task: a patch on a graph that it was proven on.
struct Classifier {
  let patch: PatchInputs
  private let graph: Graph
  private let inputs: [String: Values]

  /// Throws `PatchFileError` unless the graph gives the logits that the patch states.
  init(_ graph: Graph, _ patch: PatchInputs) throws {
    (self.graph, self.patch) = (graph, patch)
    let size = patch.preprocessing.size
    try check(size == graph.size, "it looks at \(size) pixels, this graph at \(graph.size)")
    inputs = patch.inputs.merging(try head(patch, classes: graph.classes)) { $1 }
    let (stated, tolerance) = (patch.parity.logits, patch.parity.tolerance)
    let got = try logits(seededImage(patch.parity.seed, size * size * 3))
    let most = stated.reduce(parityTolerance) { max($0, parityTolerance * abs($1)) }
    let same =
      got.count == stated.count
      && zip(got, stated).allSatisfy { abs(Double($0) - $1) <= tolerance }  // which NaN is not
    try check(same && tolerance <= most, "it does not give the logits here that it states")
  }

  /// The most probable labels of a picture, best first.
  func answer(_ picture: Picture, top: Int) throws -> [Answer] {
    best(patch.labels, try logits(networkInput(picture, patch.preprocessing)), top)
  }

  private func logits(_ image: [Float]) throws -> [Float] {
    let size = patch.preprocessing.size
    let images = Values(shape: [1, size, size, 3], numbers: image)
    let found = try graph.run(inputs.merging(["images": images]) { $1 }).prefix(patch.labels.count)
    try check(found.allSatisfy { $0.isFinite }, "the patch does not suit such pictures")
    return Array(found)
  }
}

/// A patch's head of the graph's width: columns of zeros after its own, and NaN for their biases,
/// which nobody takes for an answer.
private func head(_ patch: PatchInputs, classes: Int) throws -> [String: Values] {
  guard let kernel = patch.inputs["head/w"], let bias = patch.inputs["head/b"] else { return [:] }
  let (features, own) = (kernel.shape[0], kernel.shape[1])
  try check(own <= classes, "it has \(own) classes, this graph room for \(classes)")
  let zeros = [Float](repeating: 0, count: classes - own)
  let nobody = [Float](repeating: .nan, count: classes - own)
  let rows = (0..<features).flatMap { kernel.numbers[($0 * own)..<(($0 + 1) * own)] + zeros }
  return [
    "head/w": Values(shape: [features, classes], numbers: rows),
    "head/b": Values(shape: [classes], numbers: bias.numbers + nobody),
  ]
}

private func best(_ labels: [String], _ logits: [Float], _ count: Int) -> [Answer] {
  let largest = logits.max() ?? 0
  let scores = logits.map { exp(Double($0 - largest)) }
  let whole = scores.reduce(0, +)
  let answers = zip(labels, scores).map { Answer(label: $0, probability: $1 / whole) }
  return Array(answers.sorted { $0.probability > $1.probability }.prefix(count))
}

/// The noise image of a seed, as adapters/store/parity.py makes it.
private func seededImage(_ seed: Int64, _ length: Int) -> [Float] {
  let blocks = (0..<((length + 31) / 32)).flatMap { block in
    SHA256.hash(data: Data("modelpatch parity \(seed) \(block)".utf8))
  }
  return blocks.prefix(length).map { (Float($0) - 127.5) / 128 }
}

private let parityTolerance = 2e-3  // as adapters/store/parity.py has it
