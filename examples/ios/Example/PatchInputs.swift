import Foundation

/// A float32 array as a graph takes it.
struct Values {
  let shape: [Int]
  let numbers: [Float]
}

/// How a picture becomes a network's input.
struct Preprocessing: Decodable {
  let size: Int
  let fit: String
  let mean: [Float]
  let std: [Float]
  let background: [UInt8]
}

/// The image that a patch states its logits for, and these.
struct Parity: Decodable {
  let seed: Int64
  let logits: [Double]
  let tolerance: Double
}

/// Why a file is no patch, in words.
struct PatchFileError: LocalizedError {
  let errorDescription: String?

  init(_ said: String) { errorDescription = said }
}

/// A patch as `launch/export --to=inputs` writes it: a safetensors file of a graph's inputs.
///
/// Eight bytes of length, little-endian; so many bytes of JSON, which say where in the rest each
/// array lies; then the arrays, float32, little-endian. What is no array is JSON too, in the text
/// `modelpatch` of the metadata.
struct PatchInputs {
  let task: String
  let labels: [String]
  let preprocessing: Preprocessing
  let parity: Parity
  let inputs: [String: Values]

  private struct About: Decodable {
    let task: String
    let labels: [String]
    let preprocessing: Preprocessing
    let parity: Parity
    let head: Head?

    struct Head: Decodable { let kind: String }
  }

  /// Throws `PatchFileError`, or what the decoder of JSON throws, for anything else.
  init(_ data: Data) throws {
    let bytes = [UInt8](data)
    try check(bytes.count >= 8, "it is no safetensors file")
    let length = bytes[0..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    try check(length <= UInt64(bytes.count - 8), "its header is cut off")
    let start = 8 + Int(length)
    let parsed = try JSONSerialization.jsonObject(with: Data(bytes[8..<start]))
    guard var header = parsed as? [String: Any],
      let metadata = header.removeValue(forKey: "__metadata__") as? [String: String],
      let text = metadata["modelpatch"]
    else { throw PatchFileError("it is no patch's") }
    let about = try JSONDecoder().decode(About.self, from: Data(text.utf8))
    try check(about.head == nil, "its head is no classifier's")
    let how = about.preprocessing
    try check(["stretch", "crop", "pad"].contains(how.fit), "nobody knows the fit \(how.fit)")
    let colours = [how.mean.count, how.std.count, how.background.count]
    try check(how.size > 0 && colours == [3, 3, 3], "it prepares no images of three colours")
    var inputs: [String: Values] = [:]
    for (name, entry) in header {
      inputs[name] = try PatchInputs.values(name, entry, bytes[start...])
    }
    let own = about.labels.count
    try check(inputs["head/b"]?.shape == [own], "its head has other labels")
    try check(inputs["head/w"]?.shape.dropFirst() == [own], "it has no head")
    (task, labels, preprocessing, parity) = (about.task, about.labels, how, about.parity)
    self.inputs = inputs
  }

  private static func values(_ name: String, _ entry: Any, _ body: ArraySlice<UInt8>) throws
    -> Values
  {
    guard let said = entry as? [String: Any], said["dtype"] as? String == "F32",
      let shape = said["shape"] as? [Int], let places = said["data_offsets"] as? [Int],
      places.count == 2, shape.allSatisfy({ $0 >= 0 })
    else { throw PatchFileError("\(name) is not of 32 bits, or has no place") }
    let (from, to) = (places[0], places[1])
    try check(0 <= from && from <= to && to <= body.count, "\(name) is cut off")
    var left = to - from
    for side in shape where side > 0 { left = left % side == 0 ? left / side : -1 }
    try check(left == 4, "\(name) has another size than its shape")
    let numbers = stride(from: body.startIndex + from, to: body.startIndex + to, by: 4).map {
      at -> Float in
      let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(body[at + $1]) << UInt32(8 * $1) }
      return Float(bitPattern: bits)
    }
    try check(numbers.allSatisfy { $0.isFinite }, "\(name) holds what is no finite number")
    return Values(shape: shape, numbers: numbers)
  }
}

func check(_ holds: Bool, _ said: String) throws {
  if !holds { throw PatchFileError(said) }
}
