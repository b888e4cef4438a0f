import Foundation
import TensorFlowLite

/// What `launch/export --backbone=NAME --portable --batches=1 --sizes=SIZE` wrote, in LiteRT.
final class LiteRtGraph: Graph {
  let classes: Int
  let size: Int
  private let interpreter: Interpreter  // which the runner needs alive
  private let runner: SignatureRunner
  private let turn = NSLock()

  init(path: String, size: Int) throws {
    interpreter = try Interpreter(modelPath: path)
    runner = try interpreter.signatureRunner(with: "norms_\(size)_1")
    try runner.allocateTensors()
    classes = try runner.input(named: "head/b").shape.dimensions[0]
    self.size = size
  }

  func run(_ inputs: [String: Values]) throws -> [Float] {
    let odd = Set(runner.inputs).symmetricDifference(inputs.keys)
    try check(odd.isEmpty, "it does not fit this graph: \(odd.sorted())")
    turn.lock()
    defer { turn.unlock() }
    for (name, values) in inputs {
      // Of the machine's own order of bytes, which is little-endian on every device of Apple's.
      let data = values.numbers.withUnsafeBytes { Data($0) }
      try runner.copy(data, toInputNamed: name)
    }
    try runner.invoke()
    let data = try runner.output(named: "logits").data
    return data.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
  }
}
